"""The attack cases: number → attack or fault, required result. They come from the advisories and faults of
similar receivers; a new case gets the next free number of its group. A row of X and H is added together with
its first test, so numbers may be missing for a while; a group without rows is not on the page.
"""

from __future__ import annotations

GROUPS = {
    "A": "A. Who sent it",
    "B": "B. Again, late, and out of order",
    "C": "C. Bodies and parsers",
    "D": "D. Injection",
    "E": "E. OIDC tokens and people's tokens",
    "F": "F. Faults of the machine and of others",
    "X": "X. Written into a repository",
    "H": "H. Everyday Compose files",
}

CASES: dict[str, tuple[str, str]] = {
    "A01": ("a forged signature", "401"),
    "A02": ("no signature", "401"),
    "A03": ("only the old SHA-1 signature is right, alone or beside a wrong new one", "401"),
    "A04": ("the prefix `sha256=` missing, doubled or in upper case", "401"),
    "A05": ("the right signature in upper-case digits, which GitHub never sends", "401"),
    "A06": ("63 or 65 digits, spaces, a tab, a line's end", "401"),
    "A07": ("a signature header that is not ASCII", "401, no crash in the comparison"),
    "A08": ("digits and letters of other scripts that look like hex", "401"),
    "A09": ("the signature header twice: the same, right first, right last", "401"),
    "A10": ("the header spelt `X_Hub_Signature_256`", "not seen: 401"),
    "A11": ("an empty, blank or short secret in the settings, or none", "refuses to start; accepts nothing"),
    "A12": (
        "two secrets during a rotation",
        "old and new accepted, no third; every secret is tried, so time does not tell which",
    ),
    "A13": (
        "a signature that begins right, and one that does not",
        "no difference in time: medians of 20,000 within 5 %; no `==` on a secret in the code",
    ),
    "A14": (
        "JSON written anew, which means the same; a BOM, CRLF, spaces at the end",
        "the signature counts for the very bytes",
    ),
    "A15": ("the example that GitHub publishes", "accepted"),
    "A16": ("a `ping`, signed and not", "200 with what is wrong in the hook's settings; 401"),
    "A17": ("another repository's event, or another app's secret", "starts nothing"),
    "A18": (
        "a repository renamed (same id), and another one under the old name",
        "known by its id, and the answer warns of the old name; starts nothing",
    ),
    "A19": ("an organisation's event, without a repository", "200 with the reason, or 400; starts nothing"),
    "A20": ("the run of a fork's pull request, also when its branch is called `main`", "starts nothing"),
    "A21": (
        "a run that has not ended, failed, or is of another workflow file or branch",
        "200 with the reason; starts nothing",
    ),
    "A22": (
        "`refs/tags/main`, `refs/heads/refs/heads/main`, `main/x`, another case, a line's end",
        "not the branch: starts nothing",
    ),
    "A23": ("a branch in letters that look like `main`", "not the branch: nothing is normalised"),
    "A24": ("a push that deletes a branch or a tag", "200; starts nothing"),
    "B01": ("one delivery twice, and 50 times at once", "one deployment"),
    "B02": ("the same body under a new GUID, which is not signed", "duplicate: the run counts, not the GUID"),
    "B03": ("a redelivery after the deployment failed", "tried again"),
    "B04": ("a delivery kept for a day or a month and sent again", "stale or duplicate"),
    "B05": ("A, B, C delivered as B, A, C", "ends at C; A never runs after B"),
    "B06": ("the same attempt of a run with other images", "403; the first stays"),
    "B07": ("a second attempt of an older run", "stale"),
    "B08": (
        "a rollback",
        "only when asked for as one, with a token that may; recorded with who asked",
    ),
    "B09": ("a GUID that is missing, has spaces or control characters, or is 10 KB", "400"),
    "B10": ("a delivery while a deployment runs", "queued, not dropped"),
    "B11": ("50 deliveries while one deployment runs", "one more deployment, the newest"),
    "C01": (
        "a form body, GitHub's default for hooks made by its API",
        "read, as the signature covers the form's bytes; `ping` says that JSON is better",
    ),
    "C02": ("another, missing or doubled content type, UTF-16", "415, says what to change"),
    "C03": (
        "bodies over the limit, unsent, chunked, with lengths that are wrong, signed, or two; compressed",
        "413, 400 or 415 before the body is read; never accepted",
    ),
    "C04": ("200 unsigned bodies of the largest size, and of 64 MB", "the memory does not grow by 20 MB"),
    "C05": ("JSON 100,000 deep", "400"),
    "C06": ("a number of 5,000 digits, or over 64 bits", "400"),
    "C07": ("`NaN`, `Infinity`, `1e999`", "400"),
    "C08": ("a key twice in one object", "400"),
    "C09": ("half a surrogate pair", "400"),
    "C10": ("a NUL in a text", "400"),
    "C11": ("each field that is read, as null, list, object, true or number", "400"),
    "C12": ("a list, a text or a number instead of an object", "400"),
    "C13": ("5 MiB of `{}` that would unfold in memory", "401 unsigned, before it is parsed; 400 signed"),
    "C14": ("an empty body", "401 unsigned, 400 signed"),
    "D01": ("app and environment names with `../`, NUL, a leading hyphen, 300 characters", "404 or refused"),
    "D02": ("a branch called `$(id)`, `a;id`, `--upload-pack=…`", "never reaches a command"),
    "D03": ("an image outside the app's repositories, by tag, with a line's end, a broken digest", "refused"),
    "D04": ("`$`, quotes, `#` and line ends in what Compose reads", "arrives as it is"),
    "D05": ("line ends, ANSI, U+2028 and bidi controls in names and messages", "one plain line in the log"),
    "D06": ("a secret anywhere in the input", "in no log, record, answer or argument"),
    "D07": (
        "an issuer or an address that leads elsewhere, redirects, or answers without end",
        "not followed",
    ),
    "D08": ("markup in what is sent", "answers are JSON and `nosniff`; nothing is echoed as markup"),
    "D09": ("YAML with tags of Python, alias bombs, deep nesting", "refused within a second"),
    "E01": ("a token with any claim, header, key or time that does not fit, or used before", "401"),
    "E02": (
        "the issuer down, slow, redirecting, endless, or its keys replaced; a flood of unknown keys",
        "503 or 401; one question a minute at most; webhooks go on",
    ),
    "E03": ("a token of another repository, owner, workflow, environment, or a fork's", "403"),
    "E04": (
        "tokens guessed",
        "429 with Retry-After after 10 a minute, for that address (IPv6: its /64) only; bounded memory",
    ),
    "E05": ("a token of one app used for another", "403, the same as for an app that does not exist"),
    "F01": ("1,000 clients that send or read slowly", "everybody else is served"),
    "F02": ("connections up to the limit", "served again as soon as they end"),
    "F03": (
        "a full or read-only disk, a locked, corrupt or missing database",
        "503, or refuses to start; what runs stays",
    ),
    "F04": ("the clock steps by an hour", "no deadline and no deployment is affected"),
    "F05": ("the engine is down, goes down, or refuses", "said so; what runs stays"),
    "F06": ("a registry that refuses, hangs, drops, limits, or sends another digest", "failure, said why"),
    "F07": ("kill -9 at any moment", "nothing accepted is lost, nothing left over"),
    "F08": ("SIGTERM during a deployment", "ends it in time, or the next start goes on"),
    "F09": ("GitHub's API is down, slow or limits", "the deployment does not wait"),
    "F10": ("a release that does not become healthy", "the one before serves"),
    "F11": ("two receivers on one database", "the second ends"),
    "F12": ("a container that logs without end", "cut"),
    "X01": (
        "a volume's `driver_opts` that bind a folder of the host, mount a device or a share",
        "refused: without a grant a volume has no options, or is a tmpfs with a tmpfs's own",
    ),
    "X02": (
        "a running container rewrites the Compose file after the judgement; a request beyond its model",
        "Compose reads a folder that no container of the deployer's mounts; each request is judged as posted",
    ),
    "X03": (
        "a Compose file that names the server's files: `./.${X:-.}/key`, `!!binary`, text that two parsers"
        " read in two ways; an unmerged pull request that reads Compose's words",
        "refused by its text, and closed to the Compose process by the kernel; words for placeholders",
    ),
    "X04": (
        "labels `deployer.*` in a Compose file, on a network or in an image, as those of a hand-over",
        "refused by name; a hand-over joins networks of the service only",
    ),
    "X05": (
        "another branch's job puts `tree-`, `tested-` and `sha-` tags for main's files and commits",
        "production runs what its own protected run built; a tag decides only where a setting lets it",
    ),
    "X06": (
        "a network with a public or link-local subnet, a bridge by name, another driver",
        "refused without a grant; subnets of the setting `subnets` pass",
    ),
    "X07": ("a log driver that sends to an address or a socket", "refused without a grant"),
    "X08": (
        "a registry, its realm or its redirect on this machine, its link or its network; names for them",
        "refused before a connection, and before the engine's pull, unless the settings name it in full",
    ),
    "X09": ("a `container_name` that another project's containers may need", "refused without a grant"),
    "X10": (
        '`ports: ["127.0.0.1:9000-9001:80"]`, the deployer\'s own port inside the range',
        "refused: a range is judged by every port in it",
    ),
    "X11": (
        "five YAML files of 1 MB",
        "one bound on the values of all files; judged once for the same content",
    ),
    "X12": (
        "plans, forwarded headers, refused requests and limits without end",
        "bounded by a budget, overwritten at the edge, folded in the audit log, capped or granted",
    ),
    "X13": (
        "labels or variables for other programs of the host (Traefik, ofelia), in a file or an image",
        "refused without a grant `label:PREFIX`",
    ),
    "H01": (
        "services that publish one port number at different addresses, by tcp and udp, in ranges; ports that"
        " move between services",
        "each holds its own; only one that leaves retires; one port published twice is refused in the plan",
    ),
    "H02": (
        "two Compose files of one repository with services of one name; shared `image:` names; `sha-` tags",
        "names and labels tell them apart; the other's image is refused with words",
    ),
    "H03": (
        "`{ include: { lines: true } }` in a `server.js`, an `unbound.conf`, a `tsconfig.json`",
        "data: only the files that Compose reads are judged",
    ),
    "H04": (
        "a health check of the image, of file and image together, or none; a release that never gets healthy",
        "the check in force is the gate; what is not healthy never serves",
    ),
    "H05": (
        "`worker: {image: ghcr.io/acme/app}` beside `web: {image: ghcr.io/acme/app, build: .}`",
        "one rule on runner and server: the image that was just built",
    ),
    "H06": (
        "`VOLUME` of an image, or a path alone under `volumes:`; a change, a bad release, a rollback",
        "one writer; the data goes on; nothing is orphaned; the plan says it",
    ),
    "H07": (
        "a one-shot migration that refuses a newer schema; rollback, then redeploy, of the older release",
        "the tasks of a release that comes back do not run, unless asked for",
    ),
    "H08": (
        "a static upstream in front of a service whose ports only its image, its check or its peers show",
        "0 lost; it is behind the edge, or never has two addresses under one name; the plan says which",
    ),
    "H09": (
        "a tracked file mounted without `:ro`: `acme.json`, a database, a log; or `nginx.conf`",
        "data is refused before anything is touched; configuration deploys, the plan says: read-only",
    ),
    "H10": (
        "a file with `name: legacy` and volumes of that project; volumes of `docker compose up` under a"
        " folder's name",
        "refused with the line to write, or told in the first deploy; no data is left behind in silence",
    ),
}
