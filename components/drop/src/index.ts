// Takes what is dragged onto a container. Text that is a path goes to Python. Files and folders come without their
// path: a browser keeps it to itself, so that is said, and the file is not opened in place of the app.

import type { Say } from "../../shared/channels";
import { pathIn } from "./path";

interface Call extends Say {
  data: { around: string };
  parentElement: HTMLElement;
}

export default function ({ data, parentElement, setTriggerValue }: Call): (() => void) | undefined {
  const zone = document.querySelector<HTMLElement>(`.st-key-${data.around}`);
  if (!zone) return undefined;
  let told = parentElement.querySelector<HTMLElement>(".k-dropped");
  if (!told) {
    told = document.createElement("div");
    told.className = "k-dropped";
    told.setAttribute("role", "status");
    parentElement.append(told);
  }
  const over = (event: DragEvent) => {
    event.preventDefault();
    zone.classList.add("k-over");
  };
  const leave = (event: DragEvent) => {
    if (!zone.contains(event.relatedTarget as Node | null)) zone.classList.remove("k-over");
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    zone.classList.remove("k-over");
    const carried = event.dataTransfer!; // every drop has one
    const path = pathIn(carried.getData("text/uri-list") || carried.getData("text/plain"));
    const file = carried.files[0];
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
