export interface Version {
  major: number;
  minor: number;
  patch: number;
  prerelease: ReadonlyArray<string | number>;
}

type Operator = "<" | "<=" | ">" | ">=" | "=";

interface Comparator {
  operator: Operator;
  version: Version;
}

const VERSION = /^v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/;
const TERM = /^(\^|~|>=|<=|>|<|=)?v?(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(?:-([0-9A-Za-z.-]+))?$/;

export class VersionSyntaxError extends Error {
  constructor(readonly input: string) {
    super(`not a valid version or range: "${input}"`);
    this.name = "VersionSyntaxError";
  }
}

function parsePrerelease(text: string | undefined): Array<string | number> {
  if (text === undefined) return [];
  return text.split(".").map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}

export function parseVersion(input: string): Version {
  const match = VERSION.exec(input.trim());
  if (match === null) throw new VersionSyntaxError(input);
  return {
    major: Number(match[1]),
    minor: Number(match[2]),
    patch: Number(match[3]),
    prerelease: parsePrerelease(match[4]),
  };
}

export function formatVersion(version: Version): string {
  const core = `${version.major}.${version.minor}.${version.patch}`;
  return version.prerelease.length > 0 ? `${core}-${version.prerelease.join(".")}` : core;
}

function comparePrerelease(a: Version["prerelease"], b: Version["prerelease"]): number {
  // A release outranks any of its own prereleases.
  if (a.length === 0 || b.length === 0) return b.length - a.length;
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const left = a[i];
    const right = b[i];
    if (left === right) continue;
    if (typeof left === "number" && typeof right === "number") return left - right;
    if (typeof left === "number") return -1;
    if (typeof right === "number") return 1;
    return left < right ? -1 : 1;
  }
  return a.length - b.length;
}

export function compareVersions(a: Version, b: Version): number {
  const core = a.major - b.major || a.minor - b.minor || a.patch - b.patch;
  return core || comparePrerelease(a.prerelease, b.prerelease);
}

function release(major: number, minor: number, patch: number): Version {
  return { major, minor, patch, prerelease: [] };
}

function toNumber(part: string | undefined): number | null {
  return part === undefined || /^[xX*]$/.test(part) ? null : Number(part);
}

function expandTerm(term: string): Comparator[] {
  const match = TERM.exec(term);
  if (match === null) throw new VersionSyntaxError(term);
  const operator = match[1] ?? "";
  const major = toNumber(match[2]);
  if (major === null) return [];
  const minor = toNumber(match[3]);
  const patch = minor === null ? null : toNumber(match[4]);
  const low: Version = { ...release(major, minor ?? 0, patch ?? 0), prerelease: parsePrerelease(match[5]) };

  // First version past everything the written part covers: 1.2 -> 1.3.0.
  const past = minor === null ? release(major + 1, 0, 0) : release(major, minor + 1, 0);
  const between = (high: Version): Comparator[] => [
    { operator: ">=", version: low },
    { operator: "<", version: high },
  ];

  switch (operator) {
    case "^":
      if (major > 0 || minor === null) return between(release(major + 1, 0, 0));
      if (minor > 0 || patch === null) return between(release(0, minor + 1, 0));
      return between(release(0, 0, patch + 1));
    case "~":
      return between(past);
    case "":
    case "=":
      return patch === null ? between(past) : [{ operator: "=", version: low }];
    case ">":
      return [patch === null ? { operator: ">=", version: past } : { operator, version: low }];
    case "<=":
      return [patch === null ? { operator: "<", version: past } : { operator, version: low }];
    default:
      return [{ operator: operator as Operator, version: low }];
  }
}

function accepts(comparator: Comparator, version: Version): boolean {
  const order = compareVersions(version, comparator.version);
  switch (comparator.operator) {
    case "<": return order < 0;
    case "<=": return order <= 0;
    case ">": return order > 0;
    case ">=": return order >= 0;
    case "=": return order === 0;
  }
}

export class VersionRange {
  private readonly alternatives: Comparator[][];

  constructor(readonly source: string) {
    this.alternatives = source.split("||").map((group) => {
      const terms = group.trim().split(/\s+/).filter(Boolean);
      return terms.reduce<Comparator[]>((all, term) => all.concat(expandTerm(term)), []);
    });
  }

  includes(input: string | Version): boolean {
    const version = typeof input === "string" ? parseVersion(input) : input;
    return this.alternatives.some((group) => group.every((item) => accepts(item, version)));
  }

  best(candidates: string[]): string | undefined {
    return candidates
      .map(parseVersion)
      .filter((version) => this.includes(version))
      .sort(compareVersions)
      .map(formatVersion)
      .pop();
  }
}
