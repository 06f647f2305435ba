"""A Hub on the loopback address: as much of its HTTP API as pushing and loading a model needs."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

OWNER_TOKEN, READER_TOKEN = "hf_owner", "hf_reader"  # may write; may read only
LFS_BYTES = 10_000  # as on the Hub, larger files do not travel inside the commit


@dataclass
class Repo:
    private: bool
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)  # message, files

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[-1][1]

    def write_into(self, folder: Path) -> None:
        """Its files, as a Space's build writes them into an empty folder."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def title_of(self, path: str) -> str:
        """Message of the commit that was the last to change a file."""
        title, content = "", None
        for message, files in self.commits:
            if files.get(path) != content:
                title, content = message, files.get(path)
        return title

    def sha(self, name: str) -> str:
        return hashlib.sha1(f"{name} {len(self.commits)}".encode()).hexdigest()


@dataclass
class Hub:
    """The server's state, which a test reads and sets."""

    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    created: list[dict[str, str]] = field(default_factory=list)  # what Spaces were asked to be
    variables: dict[str, str] = field(
        default_factory=dict
    )  # of Spaces, as their processes see them
    objects: dict[str, bytes] = field(default_factory=dict)  # large files by sha256
    requests: list[tuple[str, str]] = field(default_factory=list)  # method and path of each
    failures: list[tuple[int, str]] = field(default_factory=list)  # status for a path's part
    gate: threading.Event = field(default_factory=threading.Event)  # commits wait until it is set

    def fail(self, times: int, path: str = "", status: int = 503) -> None:
        """Answer the next requests whose path contains `path` with an error; 0 hangs up instead."""
        self.failures += [(status, path)] * times

    def environment(self, home: Path, token: str | None = OWNER_TOKEN) -> dict[str, str]:
        """What a process needs to take this for the Hub, set before it imports the client."""
        settings = {"HF_ENDPOINT": self.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
        settings |= {"HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1"}
        return settings | ({"HF_TOKEN": token} if token else {})


class Problem(Exception):
    """Raised to answer with a status, the Hub's code for it, and the address it concerns."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.hub.requests.append((self.command, path))
        try:
            for failure in self.hub.failures:
                if failure[1] in path:
                    self.hub.failures.remove(failure)
                    raise Problem(failure[0])
            for methods, pattern, answer in ROUTES:
                match = re.fullmatch(pattern, path)
                if match and self.command in methods:
                    self.reply(200, answer(self, body, *match.groups()))
                    return
            raise Problem(404)
        except Problem as problem:
            status, code, url = (*problem.args, "", "")[:3]
            if status == 0:
                self.close_connection = True
                return
            self.reply(status, {"error": f"status {status}", "url": url}, {"X-Error-Code": code})

    do_HEAD = do_POST = do_PUT = do_GET

    def reply(self, status: int, content: object, headers: dict[str, str] | None = None) -> None:
        if isinstance(content, tuple):
            content, headers = content
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(data))} | (
            headers or {}
        )
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass

    def repo(self, name: str, *, write: bool = False) -> Repo:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        repo = self.hub.repos.get(name)
        if write and token not in (OWNER_TOKEN, READER_TOKEN):
            raise Problem(401)
        if repo is None or (repo.private and token != OWNER_TOKEN):
            raise Problem(404, "RepoNotFound")
        if write and token != OWNER_TOKEN:
            raise Problem(403)
        return repo

    def create(self, body: bytes) -> object:
        asked = json.loads(body)
        name = f"{asked['organization']}/{asked['name']}"
        token = self.headers.get("Authorization")
        if token != f"Bearer {OWNER_TOKEN}":
            raise Problem(403 if token == f"Bearer {READER_TOKEN}" else 401)
        if name in self.hub.repos:
            raise Problem(409, "", f"{self.hub.url}/{name}")
        if asked.get("type") == "space":
            hardware = {"hardware": asked["hardware"]} if "hardware" in asked else {}
            made = {"type": "space", "sdk": asked["sdk"], "name": name, **hardware}
            self.hub.created.append(made)
        self.hub.repos[name] = Repo(asked.get("visibility") == "private", [("initial commit", {})])
        return {"url": f"{self.hub.url}/{name}"}

    def set_variable(self, body: bytes, name: str) -> object:
        self.repo(name, write=True)
        asked = json.loads(body)
        self.hub.variables[asked["key"]] = asked["value"]
        return {asked["key"]: {"value": asked["value"]}}

    def check_write(self, _: bytes, name: str) -> object:
        self.repo(name, write=True)
        return {}

    def info(self, _: bytes, name: str) -> object:
        repo = self.repo(name)
        siblings = [{"rfilename": path, "size": len(data)} for path, data in repo.files.items()]
        return {"id": name, "sha": repo.sha(name), "private": repo.private, "siblings": siblings}

    def preupload(self, body: bytes, name: str) -> object:
        self.repo(name, write=True)
        return {
            "files": [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["size"] > LFS_BYTES else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
        }

    def batch(self, body: bytes, name: str) -> object:
        self.repo(name, write=True)
        answers = json.loads(body)["objects"]
        for item in answers:
            if item["oid"] not in self.hub.objects:
                item["actions"] = {"upload": {"href": f"{self.hub.url}/large/{item['oid']}"}}
        return {"transfer": "basic", "objects": answers}

    def put(self, body: bytes, oid: str) -> object:
        if hashlib.sha256(body).hexdigest() != oid:
            raise Problem(400)
        self.hub.objects[oid] = body
        return {}

    def commit(self, body: bytes, name: str) -> object:
        repo = self.repo(name, write=True)
        self.hub.gate.wait()
        message, files = "", dict(repo.files)
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "header":
                message = value["summary"]
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        repo.commits.append((message, files))
        oid = repo.sha(name)
        return {"commitUrl": f"{self.hub.url}/{name}/commit/{oid}", "commitOid": oid}

    def tree(self, _: bytes, name: str) -> object:
        return [
            {
                "type": "file",
                "path": path,
                "size": len(data),
                "oid": hashlib.sha1(data).hexdigest(),
                "lastCommit": {
                    "id": "0" * 40,
                    "title": self.repo(name).title_of(path),
                    "date": "2026-01-01T00:00:00.000Z",
                },
            }
            for path, data in self.repo(name).files.items()
        ]

    def resolve(self, _: bytes, name: str, path: str) -> object:
        repo = self.repo(name)
        if path not in repo.files:
            raise Problem(404, "EntryNotFound")
        etag = hashlib.sha256(repo.files[path]).hexdigest()
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": repo.sha(name)}
        return repo.files[path], headers


KIND = "(?:models|spaces|datasets)"
REPO, REVISION = r"([\w.-]+/[\w.-]+)", r"(?:main|[0-9a-f]{40})"
ROUTES = (
    ({"POST"}, r"/api/repos/create", Handler.create),
    ({"GET"}, rf"/api/{KIND}/{REPO}/auth-check/write", Handler.check_write),
    ({"POST"}, rf"/api/spaces/{REPO}/variables", Handler.set_variable),
    ({"POST"}, r"/api/validate-yaml", lambda *_: {}),
    ({"POST"}, rf"/api/{KIND}/{REPO}/preupload/main", Handler.preupload),
    ({"POST"}, rf"(?:/spaces|/datasets)?/{REPO}\.git/info/lfs/objects/batch", Handler.batch),
    ({"PUT"}, r"/large/([0-9a-f]{64})", Handler.put),
    ({"POST"}, rf"/api/{KIND}/{REPO}/commit/main", Handler.commit),
    ({"GET"}, rf"/api/{KIND}/{REPO}/tree/{REVISION}", Handler.tree),
    ({"GET"}, rf"/api/{KIND}/{REPO}(?:/revision/{REVISION})?", Handler.info),
    ({"HEAD", "GET"}, rf"(?:/datasets)?/{REPO}/resolve/{REVISION}/([\w.-]+)", Handler.resolve),
)


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Start the server, give its state, stop it."""
    hub = Hub()
    hub.gate.set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.gate.set()
        server.shutdown()
        server.server_close()
