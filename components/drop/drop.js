// Takes what is dragged onto a container. Text that is a path goes to Python. Files and folders come without their
// path: a browser keeps it to itself, so that is said, and the file is not opened in place of the app.
function pathIn(transfer) {
  const text = (transfer.getData("text/uri-list") || transfer.getData("text/plain") || "").split(/\r?\n/).find((line) => line && !line.startsWith("#")) ?? "";
  if (text.startsWith("file://")) return decodeURIComponent(text.slice(7)).replace(/^\/([A-Za-z]:)/, "$1");
  return /^(\/|~|[A-Za-z]:[\\/]|\\\\)/.test(text.trim()) ? text.trim() : "";
}

export default function ({ data, parentElement, setTriggerValue }) {
  const zone = document.querySelector(`.st-key-${data.around}`);
  if (!zone) return undefined;
  let told = parentElement.querySelector(".k-dropped");
  if (!told) {
    told = document.createElement("div");
    told.className = "k-dropped";
    told.setAttribute("role", "status");
    parentElement.append(told);
  }
  const over = (event) => {
    event.preventDefault();
    zone.classList.add("k-over");
  };
  const leave = (event) => {
    if (!zone.contains(event.relatedTarget)) zone.classList.remove("k-over");
  };
  const drop = (event) => {
    event.preventDefault();
    zone.classList.remove("k-over");
    const path = pathIn(event.dataTransfer);
    const file = event.dataTransfer.files[0];
    if (path) setTriggerValue("path", path);
    else if (file) told.textContent = `A browser does not say where “${file.name}” lies, and nothing is uploaded. Browse to it, or copy its path from your file manager and paste it.`;
    else told.textContent = "That is no path. Paste the folder's path, such as /home/me/photographs.";
  };
  zone.addEventListener("dragover", over);
  zone.addEventListener("dragleave", leave);
  zone.addEventListener("drop", drop);
  return () => {
    zone.removeEventListener("dragover", over);
    zone.removeEventListener("dragleave", leave);
    zone.removeEventListener("drop", drop);
  };
}
