"""Files of a release that Compose does not read, from real projects: the real Compose renders, and the model
becomes an application.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from deployer.adapters.docker.compose.compose_cli import Compose
from deployer.core.compose.rendering import FILES
from deployer.core.model import Bundle
from deployer.core.rollout.desired_state import assemble
from testing.compose_models import EDGE_SETTINGS, image

DATA = {
    "server.js": "const found = await db.user.findMany({ include: { lines: true } });\n",
    "tsconfig.json": '{\n  // comments are fine here\n  "extends": "@tsconfig/node20/tsconfig.json",\n'
    '  "include": ["src/**/*"],\n}\n',
    "unbound.conf": "server:\n    interface: 0.0.0.0\n\tport: 53\ninclude: /etc/unbound/local.d/*.conf\n",
    "deploy.sh": "#!/bin/sh\n# extends: the base script\ncat <<EOF\n\tenv_file: ${A}\nEOF\n",
    "nginx.conf": "events {}\nhttp { include: /etc/nginx/mime.types; log_format x '$a: $b'; }\n",
    "prometheus.yml": "scrape_configs:\n  - job_name: !own x\n    include: [/etc/passwd]\n",
    ".gitlab-ci.yml": "include: 'https://example.com/c'\njob: {extends: ../b, script: !reference [a, b]}\n",
    "chart.yaml": "include: {{ .Values.include }}\nenv_file: {{- range $x }}\n",
    "cloudformation.yaml": "Resources: {Bucket: !Sub '${AWS::StackName}-b'}\nextends: !Ref Base\n",
    "bomb.yaml": "a: &a [x]\n"
    + "".join(f"{c}: &{c} [*{p}, *{p}]\n" for p, c in zip("abcdefghi", "bcdefghij", strict=True)),
    "dump.sql": "-- include: all\nINSERT INTO t VALUES ('env_file: /etc/passwd', E'\\t');\n",
    "notes.md": "extends:\n\t- `env_file: ~/key`\n",
    "app.env": "# include: me\nA=1\nTEXT={include: /etc/passwd}\n",
    "compose.example.yaml": "services: {web: {env_file: /etc/shop/production.env}}\n",
}


@pytest.mark.case("H03")
@pytest.mark.parametrize("name", DATA)
def test_a_mounted_file_is_data_whatever_it_looks_like(tmp_path: Path, name: str) -> None:
    text = (
        "services:\n  web:\n    image: ghcr.io/acme/shop\n    command: node server.js\n"
        f"    volumes: ['./{name}:/data/{name}:ro']\n"
    )
    model = Compose(tmp_path).renderer.render(
        "shop", Bundle("compose.yaml", {"compose.yaml": text, name: DATA[name]}), {}
    )
    (service,) = assemble(model, {"web": image("web", "a")}, "shop", EDGE_SETTINGS, {}).services
    assert service.name == "web" and len(model[FILES]) == 2


@pytest.mark.case("H03")
def test_an_env_file_is_not_yaml(tmp_path: Path) -> None:
    named = "[app.env, {path: gone.env, required: false}]"
    text = f"services: {{web: {{image: ghcr.io/acme/shop, env_file: {named}}}}}\n"
    files = {"compose.yaml": text, "app.env": DATA["app.env"] + "TAB=\tx\n"}
    model = Compose(tmp_path).renderer.render("shop", Bundle("compose.yaml", files), {})
    assert model["services"]["web"]["environment"]["TEXT"] == "{include: /etc/passwd}"


@pytest.mark.case("H03")
def test_what_compose_reads_may_lie_anywhere_in_the_repository(tmp_path: Path) -> None:
    files = {
        "deploy/compose.yaml": "include: [../common/compose.yaml]\n"
        "services: {web: {extends: {file: ../base.yaml, service: base}, env_file: ../conf/web.env}}\n",
        "common/compose.yaml": "services: {db: {image: ghcr.io/acme/db, env_file: db.env}}\n",
        "common/db.env": "DB=1\n",
        "base.yaml": "services: {base: {image: ghcr.io/acme/shop, env_file: conf/base.env}}\n",
        "conf/web.env": "WEB=1\n",
        "conf/base.env": "BASE=1\n",
    }
    model = Compose(tmp_path).renderer.render("shop", Bundle("deploy/compose.yaml", files), {})
    services = model["services"]
    assert services["web"]["environment"] == {"BASE": "1", "WEB": "1"}
    assert services["db"]["environment"] == {"DB": "1"}
