// API_BASE is put in by the build.
const show = (id, text) => {
  document.getElementById(id).textContent = text;
};

const report = (state, text) => {
  const line = document.getElementById("state");
  line.dataset.state = state;
  if (line.textContent !== text) line.textContent = text;
};

async function ask() {
  try {
    const response = await fetch(`${API_BASE}/version`, { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!response.ok) throw new Error(`the backend answered ${response.status}`);
    const { version, hostname } = await response.json();
    show("backend-version", version);
    show("hostname", hostname);
    report("ok", "all is well");
  } catch (error) {
    report("bad", error.name === "TimeoutError" ? "the backend does not answer" : error.message);
  } finally {
    setTimeout(ask, 2000);
  }
}

ask();
