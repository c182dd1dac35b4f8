# Context and Dockerfile are copied together by script/lib/images.sh, which also adds the certificates.
target "node" {
  target = "node"
  tags   = ["node:20-alpine"]
}

target "nginx" {
  target = "nginx"
  tags   = ["nginx:alpine"]
}

target "python" {
  target = "python"
  tags   = ["python:3.13-slim"]
}

target "haproxy" {
  target = "haproxy"
  tags   = ["haproxy:3.0-alpine"]
}
