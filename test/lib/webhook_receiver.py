"""
webhook_receiver.py PORTFILE MOODFILE LOGFILE: takes webhooks on a free port of 127.0.0.1, which it writes
into PORTFILE, and its pid into PORTFILE.pid. What it does is in MOODFILE at that moment: "take" answers 200
and appends a line of JSON {"key": ..., "body": ...} to LOGFILE, "fail" answers 500, "lose" appends and answers
500, as one that dies before it answers does, "hang" says nothing until the client hangs up. It ends by itself
after twenty minutes.
"""
import http.server
import json
import os
import sys
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with open(sys.argv[2], encoding="utf-8") as file:
            mood = file.read().strip()
        if mood == "hang":
            self.rfile.read()
            return
        if mood in ("take", "lose"):
            line = json.dumps({"key": self.headers["Idempotency-Key"], "type": self.headers["Content-Type"],
                               "body": json.loads(body)})
            with open(sys.argv[3], "a", encoding="utf-8") as file:
                file.write(line + "\n")
        self.send_response(200 if mood == "take" else 500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
with open(sys.argv[1] + ".pid", "w", encoding="utf-8") as file:
    file.write(str(os.getpid()))
with open(sys.argv[1], "w", encoding="utf-8") as file:
    file.write(str(server.server_address[1]))
threading.Timer(1200, lambda: os._exit(1)).start()
server.serve_forever()
