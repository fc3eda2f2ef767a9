"""Receive a webhook and believe it only after its signature was verified."""

from http.server import BaseHTTPRequestHandler, HTTPServer

from bolti import Bolti, webhooks

secret = ""


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))  # the bytes as they came
        try:
            event = webhooks.verify(body, self.headers, secret)
        except webhooks.WebhookVerificationFailed as error:
            print("refused:", error)
            self.send_response(400)
        else:
            print("verified:", event.type, event.id)  # may come again: remember the id
            self.send_response(204)
        self.end_headers()


receiver = HTTPServer(("127.0.0.1", 0), Receiver)
receiver.timeout = 30
bolti = Bolti()
endpoint = bolti.webhook_endpoints.create(
    url=f"http://127.0.0.1:{receiver.server_port}/hook", event_types=["test.ping"]
)
secret = endpoint.secret  # shown this once; keep it where you keep secrets
try:
    bolti.webhook_endpoints.test(endpoint.id)
    receiver.handle_request()
finally:
    bolti.webhook_endpoints.delete(endpoint.id)
