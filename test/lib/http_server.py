"""
http_server.py PORTFILE [CERTIFICATE KEY]: an HTTP or HTTPS server that behaves as its paths say. It
listens on a free port of 127.0.0.1, which it writes into PORTFILE, and its pid into PORTFILE.pid. It ends
by itself after twenty minutes, or LIFETIME seconds.

/ok                 200 with a short text
/status/N           status N
/auth               200 for user "watcher" with password "let-me-in" or token "bearer-of-this", else 401
/header/NAME/VALUE  200 when the request has that header, else 400
/redirect/URL       302 to URL
/loop               302 to itself
/large              200, with a body that does not end
/many-headers       200, with headers that do not end
/slow-headers       a header each 50 ms, without an end
/wait/MS            200 after so many milliseconds
/hang               nothing, until the client hangs up
"""
import base64
import http.server
import os
import ssl
import sys
import threading
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, text="", headers=()):
        body = text.encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def authorized(self):
        login = base64.b64encode(b"watcher:let-me-in").decode()
        return self.headers.get("Authorization") in ("Basic " + login, "Bearer bearer-of-this")

    def endless(self, chunk, pause=0.0):
        while True:
            self.wfile.write(chunk)
            self.wfile.flush()
            time.sleep(pause)

    def do_GET(self):
        _, what, rest = (self.path + "/").split("/", 2)
        rest = rest[:-1]
        if what == "ok":
            self.answer(200, "all is well\n")
        elif what == "status":
            self.answer(int(rest))
        elif what == "auth":
            self.answer(200 if self.authorized() else 401)
        elif what == "header":
            name, value = rest.split("/")
            self.answer(200 if self.headers.get(name) == value else 400)
        elif what == "redirect":
            self.answer(302, headers=[("Location", rest)])
        elif what == "loop":
            self.answer(302, headers=[("Location", self.path)])
        elif what == "large":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            self.endless(b"x" * 65536)
        elif what == "many-headers":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            self.endless(b"".join(b"X-Filler: " + b"x" * 1000 + b"\r\n" for _ in range(64)))
        elif what == "slow-headers":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            self.endless(b"X-Filler: x\r\n", 0.05)
        elif what == "wait":
            time.sleep(int(rest) / 1000)
            self.answer(200)
        elif what == "hang":
            self.rfile.read()
        else:
            self.answer(404)

    do_HEAD = do_GET

    def log_message(self, format, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass


def main():
    server = Server(("127.0.0.1", 0), Handler)
    if len(sys.argv) > 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2], sys.argv[3])
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with open(sys.argv[1] + ".pid", "w") as file:
        file.write(str(os.getpid()))
    with open(sys.argv[1] + ".new", "w") as file:
        file.write(str(server.server_address[1]))
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    threading.Timer(int(os.environ.get("LIFETIME", "1200")), os._exit, [0]).start()
    server.serve_forever()


main()
