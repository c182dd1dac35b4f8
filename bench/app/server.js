// The application of the roll-out benchmark. Variables: STARTUP_MS until it listens, SLOW_MS for each answer, HEALTH is
// the status of /health, FAULT=crash ends it at once, FAULT=silent never listens, ON_TERM=exit drops what is in flight.
const http = require("node:http");

const { VERSION, PORT = "3001", STARTUP_MS = "0", SLOW_MS = "0", HEALTH = "200", FAULT = "", ON_TERM = "finish" } = process.env;

if (FAULT === "crash") {
  console.error("Error: no database");
  process.exit(1);
}

const server = http.createServer((request, response) => {
  const health = request.url === "/health";
  const answer = () => {
    response.statusCode = health ? Number(HEALTH) : 200;
    response.end(`version ${VERSION}`);
  };
  if (health || SLOW_MS === "0") answer();
  else setTimeout(answer, Number(SLOW_MS));
});

if (FAULT === "silent") setInterval(() => {}, 1e6);
else setTimeout(() => server.listen(Number(PORT)), Number(STARTUP_MS));

process.on("SIGTERM", () => {
  if (ON_TERM === "exit") process.exit(0);
  server.close(() => process.exit(0));
  setInterval(() => server.closeIdleConnections(), 50);
  if (!server.listening) process.exit(0);
});
