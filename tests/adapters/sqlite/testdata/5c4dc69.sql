-- A database as commit 5c4dc69 wrote it (schema version 2), by this program in a work tree of that commit:
--
--     import secrets
--     import sqlite3
--     import sys
--     from pathlib import Path
--
--     from deployer.adapters.store import SqliteStore
--     from deployer.adapters.vault import open_vault
--     from deployer.core.access import Right
--     from deployer.core.acts import refusal
--     from deployer.core.delivery import Delivery
--     from deployer.core.errand import Task
--     from deployer.core.inbox import Proof
--     from deployer.core.model import Bundle, Credentials, Kind, Measured, Run, Wish
--     from tests.core.models import image
--     from tests.corridor.test_deploy import Scene
--
--     folder = Path(sys.argv[1])
--     given = iter(["reads-the-first", "of-ada"])
--     secrets.token_urlsafe = lambda size: next(given)  # the test knows the tokens
--     scene = Scene(folder)
--     store = scene.store
--     # Two deployments through the use case of that build, and what the store keeps beside them.
--     first, second = scene.deploy("aa", forge=145), scene.deploy("bb", variables={"GIVEN": "of-the-past"})
--     percentiles = {"before": 1.0, "during": None, "after": 3.0}
--     store.note_measured(second.id, Measured(10, 1, 20.5, percentiles, percentiles))
--     store.note_startups("shop", "production", {"backend": 1.5})
--     store.issue_read_token(first.id, 1.0)
--     store.create_token(name="ada", app="shop", can=frozenset({Right.ROLLBACK}), expires_at=None, now=1.0)
--     # One in progress, which waits for its confirmation; one queued, with everything that is sealed.
--     bundle = Bundle("compose.yaml", {"compose.yaml": "services: {}\n"})
--     store.enqueue(
--         Wish("admin", "production", Kind.DEPLOY, "webhook", "ben", "d" * 40, Run(3, 1), workflow="deploy.yml",
--              branch="release/1"),
--         2000.0, Delivery("guid-1", "workflow_run", "00ff", {}),
--     )
--     running = store.claim(2001.0)[0]
--     store.await_word(running.id, 4e9)
--     store.enqueue(
--         Wish("shop", "production", Kind.DEPLOY, "action", "octocat", "c" * 40, Run(12, 2),
--              {"backend": image("backend", "c"), "frontend": image("frontend", "c")}, bundle,
--              credentials=Credentials("ghcr.io", "octocat", "login-of-the-past"), workflow="deploy.yml",
--              variables={"A": "1"}, confirm=30),
--         2002.0, Proof("token-1", 4e9),
--     )
--     store.record_ignored(Delivery("guid-2", "ping", "11ee", {}), "pong", 2003.0)
--     store.note_look("acme/shop", 2004.0)
--     # A web process of its own: tasks for the worker, and an entry of the audit log that waits for the key.
--     web = SqliteStore(folder / "deployer.db", open_vault(folder / "key").slot)
--     plan = Wish("shop", "production", Kind.DEPLOY, "action", "ada", "c" * 40, images={}, bundle=bundle)
--     web.hand_over(Task.PLAN, [plan], 2005.0, Proof("token-2", 4e9))
--     web.hand_over(Task.HINT, [Wish("shop", "production", Kind.DEPLOY, "webhook", "ada", "c" * 40)], 2006.0,
--                   Delivery("guid-3", "package", "22dd", {}))
--     web.record_refusal(refusal("192.0.2.7", "signature-mismatch", "the signature fits none", "POST /webhook"), 2007.0)
--     web.close()
--     store.close()
--     with sqlite3.connect(folder / "deployer.db") as database:
--         version = database.execute("PRAGMA user_version").fetchone()[0]
--         dump = "\n".join([*database.iterdump(), f"PRAGMA user_version={version};"])
--     (folder / "dump.sql").write_text(dump + "\n", encoding="utf-8")
--
BEGIN TRANSACTION;
CREATE TABLE audit (  -- `core/audit.py` says what a row's text and hash are
    n INTEGER PRIMARY KEY,
    text TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;
INSERT INTO "audit" VALUES(1,'{"action":"accept","app":"shop","at":1000.0,"environment":"production","facts":{"deployment":"0000000f424033419faa84b6","kind":"deploy","revision":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","trigger":"api"},"n":1,"origin":"local","verdict":"queued","who":"ada"}','a580c349565f24847e1a4cc5996f28ca5a697eae2bd9d67b796d6bed85ed4049');
INSERT INTO "audit" VALUES(2,'{"action":"release","app":"shop","at":1000.0,"environment":"production","facts":{"deployment":"0000000f424033419faa84b6","image backend":"ghcr.io/acme/shop-backend@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","image frontend":"ghcr.io/acme/shop-frontend@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","release":"46ae8ad342c0113c"},"n":2,"origin":"local","verdict":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","who":"deployer"}','edad0751744addaad68a2cb325fd8f40afa7dc8bbdc32648c403c3586ac19c72');
INSERT INTO "audit" VALUES(3,'{"action":"end","app":"shop","at":1001.5,"environment":"production","facts":{"deployment":"0000000f424033419faa84b6","release":"46ae8ad342c0113c","revision":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},"n":3,"origin":"local","verdict":"success","who":"deployer"}','eaecf6b75988195d853ac77cadbe78b33d6d6d8b2d4e1be642ba2df9b24ab9c7');
INSERT INTO "audit" VALUES(4,'{"action":"accept","app":"shop","at":1001.5,"environment":"production","facts":{"deployment":"0000000f481cacea65cfbd9e","kind":"deploy","revision":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","trigger":"api"},"n":4,"origin":"local","verdict":"queued","who":"ada"}','1faa3f3302a937c03d5e81ff31e4349fb2da2dcc900d53f2f85679efff3317ff');
INSERT INTO "audit" VALUES(5,'{"action":"release","app":"shop","at":1001.5,"environment":"production","facts":{"deployment":"0000000f481cacea65cfbd9e","image backend":"ghcr.io/acme/shop-backend@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","image frontend":"ghcr.io/acme/shop-frontend@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","release":"88fa36dc72b5fe4a"},"n":5,"origin":"local","verdict":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","who":"deployer"}','fd7c8f654ab64a62918514e3f0550c7c08d22e9e2ca1295af00e0033cfec23e8');
INSERT INTO "audit" VALUES(6,'{"action":"end","app":"shop","at":1002.5,"environment":"production","facts":{"deployment":"0000000f481cacea65cfbd9e","release":"88fa36dc72b5fe4a","revision":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","serves before":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},"n":6,"origin":"local","verdict":"success","who":"deployer"}','389b1f30dfa1c052ded07440d38bb52de3e866434682d40acc2c907baac613ec');
INSERT INTO "audit" VALUES(7,'{"action":"grant","app":"shop","at":1.0,"environment":"","facts":{"can":"rollback","token":"ada"},"n":7,"origin":"local","verdict":"","who":"deployer"}','4d08bee0c2386a72092f2c2bdcbdc98a7bc9a959c9ddeeb18178547e70cf1b18');
INSERT INTO "audit" VALUES(8,'{"action":"accept","app":"admin","at":2000.0,"environment":"production","facts":{"deployment":"0000001e8480c806f66fc29d","kind":"deploy","revision":"dddddddddddddddddddddddddddddddddddddddd","run":"3.1","trigger":"webhook","workflow":"deploy.yml"},"n":8,"origin":"local","verdict":"queued","who":"ben"}','759a6eb2ad928aaa5e82c62e30b87c83299ccfbf521d3fe42f65de73de650983');
INSERT INTO "audit" VALUES(9,'{"action":"accept","app":"shop","at":2002.0,"environment":"production","facts":{"deployment":"0000001e8c509d8117442ea1","kind":"deploy","revision":"cccccccccccccccccccccccccccccccccccccccc","run":"12.2","trigger":"action","workflow":"deploy.yml"},"n":9,"origin":"local","verdict":"queued","who":"octocat"}','b73edc78141df1ba2b0c832f0c54fe7d750470ef5e119147ae0724c610a04265');
CREATE TABLE audit_head (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    n INTEGER NOT NULL
) STRICT;
INSERT INTO "audit_head" VALUES(1,9);
CREATE TABLE audit_pending (  -- of a process without the key, until one that has it links them
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    act TEXT NOT NULL
) STRICT;
INSERT INTO "audit_pending" VALUES(1,2007.0,'{"action": "refuse", "who": "", "origin": "192.0.2.7", "app": "", "environment": "", "verdict": "signature-mismatch", "facts": {"place": "POST /webhook", "message": "the signature fits none", "left_out": ""}}');
CREATE TABLE confirmation (  -- a row: the deployment has waited for a word, once it served
    deployment_id TEXT PRIMARY KEY REFERENCES deployment (id),
    until REAL NOT NULL,
    verdict TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "confirmation" VALUES('0000001e8480c806f66fc29d',4000000000.0,'','');
CREATE TABLE delivery (
    seq INTEGER PRIMARY KEY,
    guid TEXT NOT NULL,  -- not unique: a redelivery carries the same one
    event TEXT NOT NULL,
    body_sha256 TEXT NOT NULL,
    received_at REAL NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL,
    deployment_id TEXT  -- no reference: the note of what arrived outlives the deployment
) STRICT;
INSERT INTO "delivery" VALUES(1,'guid-1','workflow_run','00ff',2000.0,'queued','','0000001e8480c806f66fc29d');
INSERT INTO "delivery" VALUES(2,'guid-2','ping','11ee',2003.0,'ignored','pong',NULL);
INSERT INTO "delivery" VALUES(3,'guid-3','package','22dd',2006.0,'ignored','the worker looks its images up',NULL);
CREATE TABLE deployment (
    seq INTEGER PRIMARY KEY,  -- order of acceptance; ids sort by the clock, which may step
    id TEXT NOT NULL UNIQUE,
    app TEXT NOT NULL,
    environment TEXT NOT NULL,
    kind TEXT NOT NULL,
    trigger TEXT NOT NULL,
    actor TEXT NOT NULL,
    revision TEXT NOT NULL,
    workflow TEXT NOT NULL,
    run_number INTEGER,
    run_attempt INTEGER,
    images_sha256 TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_at REAL NOT NULL,
    started_at REAL,
    ended_at REAL,
    attempts INTEGER NOT NULL,
    release TEXT NOT NULL,
    previous TEXT NOT NULL,  -- revision that served when the deployment was first claimed
    measured TEXT,  -- JSON
    mark TEXT,  -- of a success: keyed, so that only who has the key can write one that pruning believes
    sealed_wish BLOB,
    sealed_credentials BLOB
) STRICT;
INSERT INTO "deployment" VALUES(1,'0000000f424033419faa84b6','shop','production','deploy','api','ada','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','',NULL,NULL,'da3ae594a990a189bf14d13d33087bdaf28885d266afc62a892ea9661c3ebb6d','success','',1000.0,1000.0,1001.5,1,'46ae8ad342c0113c','',NULL,'7df175ca7235f8ce46d05209bc78aaf4c29c28db675c2670be717e58f9d2f98b',NULL,NULL);
INSERT INTO "deployment" VALUES(2,'0000000f481cacea65cfbd9e','shop','production','deploy','api','ada','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','',NULL,NULL,'f380cfe85ea9c4c9bed5f4281f2a9d913869e015a7e9689fe9e776514867ad0f','success','',1001.5,1001.5,1002.5,1,'88fa36dc72b5fe4a','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','{"requests": 10, "failed": 1, "longest_gap_ms": 20.5, "p50_ms": {"before": 1.0, "during": null, "after": 3.0}, "p95_ms": {"before": 1.0, "during": null, "after": 3.0}}','9fa428f8d2879bb4d370983fd162f56880c042c6aa36b4397cc81b697e41b95a',NULL,NULL);
INSERT INTO "deployment" VALUES(3,'0000001e8480c806f66fc29d','admin','production','deploy','webhook','ben','dddddddddddddddddddddddddddddddddddddddd','deploy.yml',3,1,'','in_progress','',2000.0,2001.0,NULL,1,'','',NULL,NULL,X'361A83469BE18746A68EC9FE0FBE9229DB223077A6064E29F4018FF4D2397415689C9DF692738916E980A7BD94DD18F9CB3DBEECBDEAFA00E7633113C359630A3BE15CCCE3CDE6A531EFA22E6B7AE5CED17DEE114D0FCC11B6D8CA6C25D9888E55FD710274EFB65872BFB3A5CB8BB260E07EAC58C8ED5D6C38E028E6CF7E3B9572643B93CECDD95CD82933C6503A065D2150E33D4FB55E34BADF5DE1C33FFCD9006E2261AC0827A80440343C5FB7A014AEA3B6277F15A28ED138D2',NULL);
INSERT INTO "deployment" VALUES(4,'0000001e8c509d8117442ea1','shop','production','deploy','action','octocat','cccccccccccccccccccccccccccccccccccccccc','deploy.yml',12,2,'eb96dbbb8e943c1a700705b88875f961cf5d2025666d706e385eb61d414ffc7c','queued','',2002.0,NULL,NULL,0,'','',NULL,NULL,X'2EDAF548B2EAC10821F3567B8DCCC0880799DA983047EA93D1043DB07043DB2988F4344946677804EF837B63CEBA6D81A4405F5151C576B73951A3345C2FA04742CAD5D81C1F8F484359E5A3A894C34F54FA84E65DDD6427DE4D136F335C6F9C72038AA20856B702FF10CBA7F4D509ACDC912423176AF9F519663ABF98D81FB4E0E7AB88B8FFE95A7E5BB6E18DC21F4B805DF7C63A37E9A38FD0AC3E007F16E46DE981D2EF36E027CD4CAB00CCD3489399C083755742577F4C4073B053F90FD2D9A4B772731DA34251D3C3B11468689DD2E5375EA3FAF3DE4EEB2845AC9795928F07581E531ACF5CCC139F5EB610781634ABD97F4A8AA2CF79F27964C684D537B4A4D14A2F043166773DB97DD6D1800D3F41544BFEDC9795DFCC5003A9B402E3F7992BD6D9BCD5511B056566F64A0D13F6A98AAEA6C24E38B5928ECFA07DCF8F0570F22735920B8D4C4BE17DF908C119D13B0F8272DF0BC7C271D1D488C459B44F7C5BB0C6AFF215D2B57879F6C255B20E6F509DA7A6E7873B5E6192425A7EA173D2EB3E70CED995A5ADC93ED9F5B25C24E76E077033A32B3680D7423B26933B36756CA6150C2DBB9223ECD889509DFF3AF2910A3B977DF532822D956248E15F445911887CA4535696C33E88973F47168E54DB583C37C813E59147E8EF3DDB7B0360F84F33EEB123E848083F05189E786401CB8945084ACFD2C1255651F8CDB1A8',X'8911BE25BF110BF739ED327E88785EEE44E92484334024AC09CF862475A70064410B24D7D39E0DFCD1916A2AD3923E81DE876F44F7FF63ED828461E0E11BBFB63B10C774DCAFD6E01791B7AD9F8D9E8BD751B8FE8079C6723A40EF7629541C7FA72CF6EBF8723CF5B939BF9D692C1FB490FD72111C0D6595863D49D23F3C569EEBF48A4B715413C47F8B558E348C8C70658D6DEF27673A7A08A5A53DF956178121973365');
CREATE TABLE errand (  -- what a process without an engine hands to the one that has it
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    task TEXT NOT NULL,
    at REAL NOT NULL,
    due REAL NOT NULL,
    tries INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    answer TEXT  -- JSON of a plan or an error, neither of them secret
) STRICT;
INSERT INTO "errand" VALUES(1,'9a8cf3a62dd975b64440a883','plan',2005.0,2005.0,0,X'9EE420411732C30E096C8060343B5797852499F871F36DFF6910C45C022F7C5FC3EB8763BFB8FA034D74DAA87240D1E40513B39730476052296E5125D17FDA5B74C9F6777718824EBA3075094FC92D9D5365DB627D3A51C9B3E72E37586C9325D7D12B8F955E33CCE705E8C068CF1440BFF8AB9DE7EDA322319468F449C51AA5F05E0A90F8C7B29AE3EA497E5BBE9445CFAB10BCCC97F0129C00DE9CECD02FC8097071933FE38A48BBC85DD5AD626B02DECF90ED20BCE12004BA0759BD5B1EE072A8783B200A5027874863F1DC8BBFB2F1C09AEC23222BDFF15C9846D02806DBC6C0F0CECBF566C78C85FBC69C819B625EEB880BCF58C9C8572E8238DFE15F9DD7BC90D4D5904A989AB1A93B977883D1B9E70B6EBC8D89097D1BBBA690F13696B9C90070D7E8910401EBCC5ADD1D8D79B0FB264282B1CDAB6901C44279CEF73E01810AD22EE6B96D7D338E1A8C423AA820E08F6D8A9D4C285610476BFBA933B488DD7575FE5E0B99E8F8769AB58857DF5ABDC1201BC3512052C3CF8B99C95F5DF5274EF8A22C910B957E',NULL);
INSERT INTO "errand" VALUES(2,'3a28951c2daa9dd936d16b8e','hint',2006.0,2006.0,0,X'05A2CCF85C900C38C8E2F7D2D56DABCFFD41B7F29775A4847FF757750E9FB7015719E9983147BC0A3AD8CD3C49E92ED0F30A959615F78AD34C7F5BA3D37A42BAD04C4D38FA95855CCE6B3C288EE2B0190E3DDBD4867B25FAA91F0C5A0216F4D5C45445869A44D636CC5D211DF72DCE254B705BB0A2112AE3A8AF589564EA556BB06F5652B3CA22D58BE9DE0037DE93836A2189A5D32BDAB09B39ADE2FD54382E7860DB6210679D5DBCD289211C12E92A5037FB300F142C11C88B6E9F3CDA03CA3BD1F307B7464DAE0615D043C774481E944E2439320C7C10575AD130753634588553B73AB467AC6AA69DA3411CC7AFCB860D2277D7B4DFFEFC3ABCB6F547E2D6175DBED7715833490AC41E311B221FC3BC66001413AB3328859DBC359C7FF4D4A7EEC2F61DD4D72E412BD071F76E1AEB263BBC37ACBC3BDC74CA918524F0FC',NULL);
CREATE TABLE event (
    deployment_id TEXT NOT NULL REFERENCES deployment (id),
    n INTEGER NOT NULL,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (deployment_id, n)
) STRICT, WITHOUT ROWID;
INSERT INTO "event" VALUES('0000000f424033419faa84b6',1,1000.0,'enqueue','deploy of aaaaaaa by ada');
INSERT INTO "event" VALUES('0000000f424033419faa84b6',2,1000.0,'claim','attempt 1');
INSERT INTO "event" VALUES('0000000f424033419faa84b6',3,1000.0,'resolve','release 46ae8ad342c0113c: backend aaaaaaaaaaaa, frontend aaaaaaaaaaaa');
INSERT INTO "event" VALUES('0000000f424033419faa84b6',4,1000.0,'pull','room on the disk is not checked: the engine''s disk cannot be seen from here');
INSERT INTO "event" VALUES('0000000f424033419faa84b6',5,1000.0,'pull','backend aaaaaaaaaaaa in 0.0 s');
INSERT INTO "event" VALUES('0000000f424033419faa84b6',6,1000.0,'pull','frontend aaaaaaaaaaaa in 0.0 s');
INSERT INTO "event" VALUES('0000000f424033419faa84b6',7,1000.0,'plan','shop: 11 steps
  1 create  deployer-edge  1 new  no replica yet
  2 start   deployer-edge  1 new  no replica yet
  3 gate    deployer-edge  1 new  must be ready within 20 s
  4 create  backend        1 new  no replica yet
  5 start   backend        1 new  no replica yet
  6 gate    backend        1 new  must be ready within 32 s
  7 create  frontend       1 new  no replica yet
  8 start   frontend       1 new  no replica yet
  9 gate    frontend       1 new  must be ready within 60 s
 10 switch  backend               edge → 1 replica
 11 switch  frontend              edge → 1 replica');
INSERT INTO "event" VALUES('0000000f424033419faa84b6',8,1000.0,'create','backend (no replica yet), frontend (no replica yet)');
INSERT INTO "event" VALUES('0000000f424033419faa84b6',9,1000.0,'create','deployer-edge (no replica yet)');
INSERT INTO "event" VALUES('0000000f424033419faa84b6',10,1000.0,'start','deployer-edge-3');
INSERT INTO "event" VALUES('0000000f424033419faa84b6',11,1000.5,'gate','deployer-edge-3 ready after 0.5 s');
INSERT INTO "event" VALUES('0000000f424033419faa84b6',12,1000.5,'start','backend-1');
INSERT INTO "event" VALUES('0000000f424033419faa84b6',13,1001.0,'gate','backend-1 ready after 0.5 s');
INSERT INTO "event" VALUES('0000000f424033419faa84b6',14,1001.0,'switch','the edge sends new requests to backend-1');
INSERT INTO "event" VALUES('0000000f424033419faa84b6',15,1001.0,'start','frontend-2');
INSERT INTO "event" VALUES('0000000f424033419faa84b6',16,1001.5,'gate','frontend-2 ready after 0.5 s');
INSERT INTO "event" VALUES('0000000f424033419faa84b6',17,1001.5,'switch','the edge sends new requests to frontend-2');
INSERT INTO "event" VALUES('0000000f424033419faa84b6',18,1001.5,'end','success');
INSERT INTO "event" VALUES('0000000f481cacea65cfbd9e',1,1001.5,'enqueue','deploy of bbbbbbb by ada');
INSERT INTO "event" VALUES('0000000f481cacea65cfbd9e',2,1001.5,'claim','attempt 1');
INSERT INTO "event" VALUES('0000000f481cacea65cfbd9e',3,1001.5,'resolve','release 88fa36dc72b5fe4a: backend bbbbbbbbbbbb, frontend bbbbbbbbbbbb');
INSERT INTO "event" VALUES('0000000f481cacea65cfbd9e',4,1001.5,'pull','room on the disk is not checked: the engine''s disk cannot be seen from here');
INSERT INTO "event" VALUES('0000000f481cacea65cfbd9e',5,1001.5,'pull','frontend bbbbbbbbbbbb in 0.0 s');
INSERT INTO "event" VALUES('0000000f481cacea65cfbd9e',6,1001.5,'pull','backend bbbbbbbbbbbb in 0.0 s');
INSERT INTO "event" VALUES('0000000f481cacea65cfbd9e',7,1001.5,'plan','shop: 14 steps
  1 create  backend   1 new       image aaaaaaaaaaaa → bbbbbbbbbbbb
  2 start   backend   1 new       image aaaaaaaaaaaa → bbbbbbbbbbbb
  3 gate    backend   1 new       must be ready within 32 s
  4 create  frontend  1 new       image aaaaaaaaaaaa → bbbbbbbbbbbb
  5 start   frontend  1 new       image aaaaaaaaaaaa → bbbbbbbbbbbb
  6 gate    frontend  1 new       must be ready within 60 s
  7 switch  backend               edge → 1 replica
  8 switch  frontend              edge → 1 replica
  9 drain   backend   backend-1   requests may end, at most 30 s
 10 stop    backend   backend-1   superseded
 11 remove  backend   backend-1   superseded
 12 drain   frontend  frontend-2  requests may end, at most 30 s
 13 stop    frontend  frontend-2  superseded
 14 remove  frontend  frontend-2  superseded');
INSERT INTO "event" VALUES('0000000f481cacea65cfbd9e',8,1001.5,'create','backend (image aaaaaaaaaaaa → bbbbbbbbbbbb), frontend (image aaaaaaaaaaaa → bbbbbbbbbbbb)');
INSERT INTO "event" VALUES('0000000f481cacea65cfbd9e',9,1001.5,'start','backend-4');
INSERT INTO "event" VALUES('0000000f481cacea65cfbd9e',10,1002.0,'gate','backend-4 ready after 0.5 s');
INSERT INTO "event" VALUES('0000000f481cacea65cfbd9e',11,1002.0,'start','frontend-5');
INSERT INTO "event" VALUES('0000000f481cacea65cfbd9e',12,1002.5,'gate','frontend-5 ready after 0.5 s');
INSERT INTO "event" VALUES('0000000f481cacea65cfbd9e',13,1002.5,'switch','the edge sends new requests to backend-4 frontend-5');
INSERT INTO "event" VALUES('0000000f481cacea65cfbd9e',14,1002.5,'drain','backend-1 has no request left');
INSERT INTO "event" VALUES('0000000f481cacea65cfbd9e',15,1002.5,'drain','frontend-2 has no request left');
INSERT INTO "event" VALUES('0000000f481cacea65cfbd9e',16,1002.5,'stop','backend-1 frontend-2');
INSERT INTO "event" VALUES('0000000f481cacea65cfbd9e',17,1002.5,'remove','backend-1 (superseded)');
INSERT INTO "event" VALUES('0000000f481cacea65cfbd9e',18,1002.5,'remove','frontend-2 (superseded)');
INSERT INTO "event" VALUES('0000000f481cacea65cfbd9e',19,1002.5,'end','success');
INSERT INTO "event" VALUES('0000001e8480c806f66fc29d',1,2000.0,'enqueue','deploy of ddddddd by ben');
INSERT INTO "event" VALUES('0000001e8480c806f66fc29d',2,2001.0,'claim','attempt 1');
INSERT INTO "event" VALUES('0000001e8c509d8117442ea1',1,2002.0,'enqueue','deploy of ccccccc by octocat');
CREATE TABLE forge (
    deployment_id TEXT PRIMARY KEY REFERENCES deployment (id),
    number INTEGER NOT NULL
) STRICT;
INSERT INTO "forge" VALUES('0000000f424033419faa84b6',145);
CREATE TABLE looked (  -- until when GitHub's own record of a hook was searched for what was missed
    hook TEXT PRIMARY KEY,
    at REAL NOT NULL
) STRICT;
INSERT INTO "looked" VALUES('acme/shop',2004.0);
CREATE TABLE proof (
    jti TEXT PRIMARY KEY,
    expires_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "proof" VALUES('token-1',4000000000.0);
INSERT INTO "proof" VALUES('token-2',4000000000.0);
CREATE TABLE pulled (  -- images that are on the engine for releases
    repository TEXT NOT NULL,
    digest TEXT NOT NULL,
    mark TEXT NOT NULL,  -- keyed as well: whoever else writes here gets no image removed
    PRIMARY KEY (repository, digest)
) STRICT, WITHOUT ROWID;
INSERT INTO "pulled" VALUES('ghcr.io/acme/shop-backend','sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','ac20f108dab10b66fcc80905527c6adf69002728d5272144f69344f1762bd042');
INSERT INTO "pulled" VALUES('ghcr.io/acme/shop-backend','sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','9ad4332912db535b1ef67c399a9a8a22fe1d0efa95cc965bd010b5e18ac0aa8f');
INSERT INTO "pulled" VALUES('ghcr.io/acme/shop-frontend','sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','76c712783725fa2d05a68668a2703109704065109e118feb26b825484d0843ec');
INSERT INTO "pulled" VALUES('ghcr.io/acme/shop-frontend','sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','6ac9e98f2d6674f34992e35aea40f8fca92149bc1f1944f561f90308accc386d');
CREATE TABLE read_token (
    sha256 TEXT PRIMARY KEY,
    deployment_id TEXT NOT NULL REFERENCES deployment (id),
    created_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "read_token" VALUES('32726c183f7e89e52f032d63774fcab0d54c74d764fb142b4c0179b00219f60d','0000000f424033419faa84b6',1.0);
CREATE TABLE release (
    id TEXT PRIMARY KEY,
    app TEXT NOT NULL,
    revision TEXT NOT NULL,
    sealed BLOB NOT NULL
) STRICT;
INSERT INTO "release" VALUES('46ae8ad342c0113c','shop','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',X'674141414141427244756C575251586D72555169534B6E57394C514A656579633654577951664A58333653334865376771686F76416E4A536D4B31624D51683972705877715356736A444430664339302D706B4A2D4A45537A306B6E566748363954473137617677596E47793445545A576E4437374B726964416955716A3042685A334C7354344D637434787A5F2D76336E706D66444B784E737874456253707A69315563474B5941666E4F32327134514230635A6E504A5170786E37367A6F78474A634D61325A314F61663130397649476D3141616A6143475378416663367966544C564B594E536E5577544B504A62694D576D4A5932594B544967546D464F687445596E374B575A66516B483135597168644B5363504F775739316D6562686E716E5972754F4D512D7A495870366759386F7478536472734C4D5373787A627769383842515A7635544E624D31536B767032424278716362514E7777386E4163544155724971356C7579446B6F5A7635304541624F576A5A2D734A6A446E76437A6D55715745345734565563426F6E435678796C5862465F72306254356A4630366D485771736D4A6251695A307246665A707435497078336B317441516E3076714D5A387941424C466E3049787468656B51775937336D4D2D643275335735304F3957564B6C464A72317A4658365872425F334E357044337533324151766559352D65324E5342397661742D624B424D414833556768614739704E756B484B6E494871366B556378685579787562665739664F515F346C45475243723661624852764D5F6B48784A437041537938445448646255627A526348617A346E3145704F4276366141345A5A54336C62623462614F6A433671784D4D6C68624C7A5A56306D43715638364E39667635735F496961476F467531424575636955675137573531556A515676544B6D6A476F6B3748616361447839494430506B684C36466E585F6442366E4664456E52526A783341324279654B554949322D774C367567756F6E6B74725555474242755667636850707066786871574939516C367632374B674B6458582D68706D636C4741496F554E6E74364B644C725537425878746A773D3D');
INSERT INTO "release" VALUES('88fa36dc72b5fe4a','shop','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',X'674141414141427244756C574D73784743344453774B67726474657770483239567A7742304E5855567746684F6153575272495931354B5F50395537517574714F4A38636952477764672D6233546A6756525F37535A32736C665A4B6F4B57594E31676A37684A66423159427A6F794C6C44456853374A5859385A373039776B676A37355149466C316335673074556F6470385857327930366531444C627662495A79706176455452625A4F58713954703148412D6236632D79636754594B645164527575706E58746E48786951513864354F412D645F50537A734C2D457550744C4B6F71676A676C31546C5234713331376136376E465954334F326835314A545778416C4778746430334F556956764571473277645767344658444E513462317A33714642325F7470624B3543505841506D654F685F4D6D784C52476C5879566730705A515036646F6A536A786171356A64614D65306F4767425057524D666D45567757305537543555373155373772455936564C2D3942716D77564770496A6467536A4A4B337749575F3767364F664E325252415A3432694E2D646734326B50456A4D65414D386F65786F745357736E36705975716D525930364A443842704468663747587631797A7A326F5569666F596A33414F7A4B675A754469684D794F536B4A674C4945672D76486E6F5546785A75554E52776B46664E3645543363784B736150343245386B585462595A6A305153726B715A5A4E6752756544323133376A585F4C325938344F626B4753336E4469465055584B59694534464D7533306A576E6F6676754C6F6A59357A447252337043536E71623775394E765358706273414B597267617972626E683756594736306D59567A5156423632737832526B754F34615648676C4441746C7958346B59635571376A5867456B5255314673334D71437845645041646B54346E5178534F30466557794976786C37454C6A784F6F6C6C415456575255787739765A525A6C30416F6779375F6D496E6746624F69453943305837525738427437377A5F4E413243645249364359676A36396B64364B74514437442D566E32507833567A4D6337645F43794D41565941576A4275745A5656336332396E4B2D61517A69794D384531724E63756946785F4650436A544D6174484F5130337235');
CREATE TABLE seal (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    salt BLOB NOT NULL  -- sealed; shows that the key fits, and keys the release ids
) STRICT;
INSERT INTO "seal" VALUES(1,X'674141414141427244756C577137385973694978684E6D336F4C34544F596F4B367632354A5A6C5930304752364D6752666D617657616C5A6A53525F743365555047703766496B716B4D764D5F715137706B4C52697857627451614C4F6354415378644448683865456E503554426365777A6A67646B4E4933554C56364D67755274707777464D6E30574C73396C70566D57676C397534494A464B53696D4B4658756F517036426E4F433932413830414D7365737A614A5A4347446957327446754577354E3661787863384F36594C76597A506F6F4B793737304F425138314A4B673D3D');
CREATE TABLE startup (  -- until a service was ready, the last time
    app TEXT NOT NULL,
    environment TEXT NOT NULL,
    service TEXT NOT NULL,
    seconds REAL NOT NULL,
    PRIMARY KEY (app, environment, service)
) STRICT, WITHOUT ROWID;
INSERT INTO "startup" VALUES('shop','production','backend',1.5);
CREATE TABLE token (
    name TEXT PRIMARY KEY,
    app TEXT NOT NULL,
    can TEXT NOT NULL,
    sha256 TEXT NOT NULL UNIQUE,
    created_at REAL NOT NULL,
    expires_at REAL
) STRICT;
INSERT INTO "token" VALUES('ada','shop','rollback','3c6b665679c60b7819ded81a124d4fd5ec152b1808ab9a78f64e1d07d598ba97',1.0,NULL);
CREATE UNIQUE INDEX one_running ON deployment (app, environment) WHERE status = 'in_progress';
CREATE UNIQUE INDEX one_queued ON deployment (app, environment) WHERE status = 'queued';
CREATE INDEX history ON deployment (app, environment);
CREATE INDEX newest_run ON deployment (app, environment, workflow, run_number, run_attempt);
CREATE INDEX delivery_guid ON delivery (guid);
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN
    SELECT raise(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_keeps BEFORE DELETE ON audit BEGIN
    SELECT raise(ABORT, 'the audit log is append-only'); END;
CREATE INDEX read_token_of ON read_token (deployment_id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('audit_pending',1);
COMMIT;
PRAGMA user_version=2;
