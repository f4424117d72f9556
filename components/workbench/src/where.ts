// Filters as text, the way pages/shared/filters.py reads them: `name:low..high`, `name:=one|another`, `path:~text`.

export type Rule = { name: string; low: number; high: number } | { name: string; words: string[] } | { name: "path"; text: string };

export function parse(where: string): Rule[] {
  const rules: Rule[] = [];
  for (const part of where.split(";")) {
    const at = part.indexOf(":");
    if (at < 1) continue;
    const name = decodeURIComponent(part.slice(0, at));
    const rule = part.slice(at + 1);
    if (name === "path" && rule.startsWith("~")) rules.push({ name, text: decodeURIComponent(rule.slice(1)) });
    else if (rule.startsWith("=")) rules.push({ name, words: rule.slice(1).split("|").map(decodeURIComponent) });
    else {
      const [low, high] = rule.split("..").map(Number);
      if (Number.isFinite(low) && Number.isFinite(high)) rules.push({ name, low: low!, high: high! });
    }
  }
  return rules;
}

const coded = (text: string) => encodeURIComponent(text).replace(/[!'()*~.]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);

export function write(rules: readonly Rule[]): string {
  return rules
    .map((rule) => {
      if ("text" in rule) return `path:~${coded(rule.text)}`;
      if ("words" in rule) return `${coded(rule.name)}:=${rule.words.map(coded).join("|")}`;
      return `${coded(rule.name)}:${rule.low}..${rule.high}`;
    })
    .join(";");
}

/** The rules with one more, in place of another of the same name. */
export function replaced(rules: readonly Rule[], rule: Rule): Rule[] {
  return [...rules.filter(({ name }) => name !== rule.name), rule];
}

/** A number in at most three digits, or a day of a count of days since 1970. */
export function shown(value: number, dates: boolean): string {
  if (dates) return new Date(value * 86_400_000).toISOString().slice(0, 10);
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(3))).replace(/^(-?)0\./, "$1.");
}
