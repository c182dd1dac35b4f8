import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import express from "express";

const port = Number(process.env.PORT ?? 3001);
const longest = 60_000;
const version = readFileSync(new URL("version.txt", import.meta.url), "utf8").trim();
const about = () => ({ version, hostname: hostname() });

const app = express();
app.disable("x-powered-by");

app.use((request, response, next) => {
  if (process.env.CORS_ORIGIN) response.set("Access-Control-Allow-Origin", process.env.CORS_ORIGIN);
  next();
});

app.get("/health", (request, response) => response.json({ status: "ok" }));

app.get("/api/version", (request, response) => response.set("Cache-Control", "no-store").json(about()));

app.get("/api/slow", (request, response) => {
  const ms = Math.min(Math.max(Number(request.query.ms) || 0, 0), longest);
  setTimeout(() => response.json({ ...about(), ms }), ms);
});

const server = app.listen(port, (error) => {
  if (error) throw error;
  console.log(`shop-backend ${version} listens on ${port}`);
});

process.once("SIGTERM", () => {
  console.log("stopping: requests in flight are finished first");
  server.close(() => process.exit(0));
  // A kept-alive connection becomes idle when its request ends, which may be later than now.
  setInterval(() => server.closeIdleConnections(), 50);
});
