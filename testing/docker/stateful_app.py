"""An application whose replicas differ: each counts its visitors' requests in its own memory, and answers
WebSockets with its mark. In: nothing. Out: the source text of its server.
"""

MEMORY = """\
import crypto from 'node:crypto';
import http from 'node:http';
import os from 'node:os';
const host = os.hostname(), counts = new Map(), open = new Set();
const server = http.createServer((request, response) => {
  if (request.url === '/app.js') {
    response.setHeader('Cache-Control', 'public, max-age=60');
    return response.end('1;\\n');
  }
  let id = /(?:^|; )sid=(\\w+)/.exec(request.headers.cookie || '')?.[1];
  if (!counts.has(id)) {
    id = crypto.randomUUID().replaceAll('-', '');
    response.setHeader('Set-Cookie', `sid=${id}; Path=/`);
  }
  counts.set(id, (counts.get(id) || 0) + 1);
  response.end(JSON.stringify({ host, count: counts.get(id), env: process.env.MARK }) + '\\n');
});
server.on('upgrade', (request, socket) => {
  const key = request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
  const accept = crypto.createHash('sha1').update(key).digest('base64');
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n' +
    `Sec-WebSocket-Accept: ${accept}\\r\\n\\r\\n`);
  open.add(socket);
  socket.on('data', (bytes) => socket.write(`${process.env.MARK} ${bytes}`));
  socket.on('error', () => {}).on('end', () => socket.end());
  socket.on('close', () => open.delete(socket));
});
server.listen(3001);
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
  for (const socket of open) socket.end('going away\\n');
});
"""
