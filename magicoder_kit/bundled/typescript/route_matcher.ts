export type Params = Record<string, string>;
export type Query = Record<string, string | string[]>;

export interface Match<T> {
  handler: T;
  params: Params;
  query: Query;
}

type Segment =
  | { kind: "static"; text: string }
  | { kind: "param"; name: string }
  | { kind: "wildcard"; name: string };

interface Route<T> {
  pattern: string;
  segments: Segment[];
  handler: T;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A stray "%" is not worth rejecting the whole URL for.
    return text;
  }
}

// "+" means a space in query strings only, never in the path.
function decodeQuery(text: string): string {
  return decode(text.replace(/\+/g, " "));
}

/** Turns "a=1&b=2&b=3" into { a: "1", b: ["2", "3"] }. */
export function parseQuery(source: string): Query {
  const result: Query = Object.create(null);
  for (const pair of source.replace(/^\?/, "").split("&")) {
    if (pair === "") continue;
    const eq = pair.indexOf("=");
    const key = decodeQuery(eq < 0 ? pair : pair.slice(0, eq));
    const value = eq < 0 ? "" : decodeQuery(pair.slice(eq + 1));
    const previous = result[key];
    if (previous === undefined) {
      result[key] = value;
    } else if (Array.isArray(previous)) {
      previous.push(value);
    } else {
      result[key] = [previous, value];
    }
  }
  return result;
}

export function formatQuery(query: Query): string {
  const parts: string[] = [];
  for (const key of Object.keys(query).sort()) {
    const value = query[key];
    for (const item of Array.isArray(value) ? value : [value]) {
      parts.push(`${encodeURIComponent(key)}=${encodeURIComponent(item)}`);
    }
  }
  return parts.join("&");
}

function splitPath(path: string): string[] {
  return path.split("/").filter((piece) => piece.length > 0);
}

function compile(pattern: string): Segment[] {
  const pieces = splitPath(pattern);
  return pieces.map((piece, index): Segment => {
    if (piece.startsWith(":")) {
      return { kind: "param", name: piece.slice(1) };
    }
    if (piece.startsWith("*")) {
      if (index !== pieces.length - 1) {
        throw new Error(`wildcard must be the last segment in "${pattern}"`);
      }
      return { kind: "wildcard", name: piece.slice(1) || "rest" };
    }
    return { kind: "static", text: piece };
  });
}

const RANK = { static: 0, param: 1, wildcard: 2 } as const;

function compareSpecificity(a: Segment[], b: Segment[]): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = RANK[a[i].kind] - RANK[b[i].kind];
    if (difference !== 0) return difference;
  }
  return b.length - a.length;
}

function matchSegments(segments: Segment[], pieces: string[]): Params | null {
  const params: Params = {};
  for (let i = 0; i < segments.length; i++) {
    const segment = segments[i];
    if (i >= pieces.length) return null;
    if (segment.kind === "wildcard") {
      params[segment.name] = pieces.slice(i).map(decode).join("/");
      return params;
    }
    if (segment.kind === "param") {
      params[segment.name] = decode(pieces[i]);
    } else if (segment.text !== pieces[i]) {
      return null;
    }
  }
  return segments.length === pieces.length ? params : null;
}

export class RouteTable<T> {
  private readonly routes: Route<T>[] = [];

  add(pattern: string, handler: T): this {
    this.routes.push({ pattern, segments: compile(pattern), handler });
    // Static segments win over parameters, which win over wildcards.
    this.routes.sort((a, b) => compareSpecificity(a.segments, b.segments));
    return this;
  }

  match(url: string): Match<T> | null {
    const [target] = url.split("#", 1);
    const mark = target.indexOf("?");
    const path = mark < 0 ? target : target.slice(0, mark);
    const pieces = splitPath(path);
    for (const route of this.routes) {
      const params = matchSegments(route.segments, pieces);
      if (params !== null) {
        const query = mark < 0 ? {} : parseQuery(target.slice(mark));
        return { handler: route.handler, params, query };
      }
    }
    return null;
  }

  get patterns(): string[] {
    return this.routes.map((route) => route.pattern);
  }
}
