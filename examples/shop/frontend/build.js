// Writes dist/: the page and its script, with the version and the VITE_ settings built in.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const settings = {
  VERSION: readFileSync("version.txt", "utf8").trim(),
  API_BASE: process.env.VITE_API_BASE || "/api",
  TITLE: process.env.VITE_TITLE || "Shop",
};

rmSync("dist", { recursive: true, force: true });
mkdirSync("dist");
cpSync("src/style.css", "dist/style.css");
const page = readFileSync("src/index.html", "utf8");
writeFileSync("dist/index.html", page.replace(/%(\w+)%/g, (whole, name) => settings[name] ?? whole));

await build({
  entryPoints: ["src/main.js"],
  outfile: "dist/main.js",
  bundle: true,
  minify: true,
  target: "es2020",
  define: { API_BASE: JSON.stringify(settings.API_BASE) },
});
console.log(`built shop-frontend ${settings.VERSION}, API at ${settings.API_BASE}`);
