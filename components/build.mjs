// `npm ci && npm run build` in this folder writes gallery/gallery.js and map/map.js, each one self-contained module,
// and licenses.txt with the notices of everything that is inside them. The first line of a bundle names its sources.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

function digest(name) {
  const hash = createHash("sha256");
  for (const folder of ["shared", `${name}/src`]) {
    for (const file of readdirSync(folder).filter((f) => f.endsWith(".js")).sort()) {
      hash.update(`${folder}/${file}\n`).update(readFileSync(`${folder}/${file}`));
    }
  }
  return hash.update(readFileSync("package.json")).digest("hex").slice(0, 32);
}

const inside = new Set();
for (const name of ["gallery", "map"]) {
  const result = await build({
    entryPoints: [`${name}/src/index.js`],
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

const notices = [...inside].sort().map((name) => {
  const folder = `node_modules/${name}`;
  const { version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  const file = ["LICENSE", "LICENSE.md", "LICENSE.txt", "license"].map((f) => `${folder}/${f}`).find((f) => existsSync(f));
  return `${name} ${version} (${license})\n\n${file ? readFileSync(file, "utf8").trim() : "The package names its licence and carries no text of it."}\n`;
});
writeFileSync("licenses.txt", `Third-party code inside map/map.js and gallery/gallery.js\n\n${notices.join(`\n${"-".repeat(80)}\n\n`)}`);
