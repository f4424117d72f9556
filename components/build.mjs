// `npm ci && npm run build` in this folder writes <name>/<name>.js for each bundle in bundles.json, each one
// self-contained module, and licenses.txt with the notices of everything that is inside them. The first line of a bundle
// names its sources.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const bundles = JSON.parse(readFileSync("bundles.json", "utf8")); // each with the folders whose sources it holds

function digest(name) {
  const hash = createHash("sha256");
  for (const folder of ["shared", ...bundles[name].map((part) => `${part}/src`)]) {
    for (const file of readdirSync(folder).filter((f) => /\.tsx?$/.test(f) && !f.includes(".test.")).sort()) {
      hash.update(`${folder}/${file}\n`).update(readFileSync(`${folder}/${file}`));
    }
  }
  return hash.update(readFileSync("package.json")).digest("hex").slice(0, 32);
}

// regl-scatterplot is published with these inside its own bundle.
const inside = new Set(["camera-2d-simple", "dom-2d-camera", "earcut", "gl-matrix", "regl-line", "@flekschas/utils"]);
for (const name of Object.keys(bundles)) {
  const result = await build({
    entryPoints: [["tsx", "ts"].map((suffix) => `${name}/src/index.${suffix}`).find((path) => existsSync(path))],
    outfile: `${name}/${name}.js`,
    bundle: true,
    format: "esm",
    target: "es2022",
    minify: true,
    legalComments: "none",
    charset: "utf8",
    metafile: true,
    banner: { js: `// Built by components/build.mjs from sources ${digest(name)}; notices in components/licenses.txt` },
  });
  for (const input of Object.keys(result.metafile.inputs)) {
    const found = input.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//);
    if (found) inside.add(found[1]);
  }
}

const ISC = `Permission to use, copy, modify, and/or distribute this software for any purpose
with or without fee is hereby granted, provided that the above copyright notice
and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH
REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND
FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT,
INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS
OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER
TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF
THIS SOFTWARE.`;
const embedded = [
  `kdbush 4.0.2 (ISC), inside regl-scatterplot\n\nCopyright (c) 2018, Vladimir Agafonkin\n\n${ISC}\n`,
  "line shader inside regl-line (MIT)\n\nCopyright (c) 2015 Matt DesLauriers\nhttps://mattdesl.svbtle.com/drawing-lines-is-hard\n",
];
const packages = [...inside].sort().map((name) => {
  const folder = `node_modules/${name}`;
  const { version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  const file = ["LICENSE", "LICENSE.md", "LICENSE.txt", "license"].map((f) => `${folder}/${f}`).find((f) => existsSync(f));
  return `${name} ${version} (${license})\n\n${file ? readFileSync(file, "utf8").trim() : "The package names its licence and carries no text of it."}\n`;
});
const notices = [...packages, ...embedded];
writeFileSync("licenses.txt", `Third-party code inside the bundles of this folder\n\n${notices.join(`\n${"-".repeat(80)}\n\n`)}`);
