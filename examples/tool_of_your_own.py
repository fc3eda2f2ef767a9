"""Give agents something to do: an HTTP tool. Bolti's server sends the request, so the secret never reaches a worker."""

from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

from bolti import Bolti


class Shop(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        print("the shop was asked for", self.path, "with", self.headers["authorization"])
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"order": {"status": "on its way", "internal": 42}}')


shop = HTTPServer(("127.0.0.1", 0), Shop)
Thread(target=shop.serve_forever, daemon=True).start()
bolti = Bolti()
tool = bolti.tools.create(
    name=f"order_status_{shop.server_port}",
    description="Tells where an order is. Use it when the caller asks for their order.",
    url=f"http://127.0.0.1:{shop.server_port}/orders/{{{{ order_id }}}}",
    input_schema={"type": "object", "properties": {"order_id": {"type": "string"}}},
    authorization={"kind": "bearer", "token": "the-shops-own-secret"},
    response_mapping={"status": "/order/status"},  # all that the model gets to see
)
try:
    tried = bolti.tools.test(
        tool.id, arguments={"order_id": "BX-4711"}
    )  # the same code as in a call
    print(f"the model would get {tried.result} after {tried.duration_ms} ms")
    # For calls: bolti.agents.update(agent_id, tool_ids=[tool.id])
finally:
    bolti.tools.delete(tool.id)
    shop.shutdown()
