/**
 * The blocks that dotted layer names form, and the rows of an axis when some blocks are folded. The same as
 * `layer_tree.py`.
 */

/**
 * At first an axis has at most `MAX_ROWS` rows. If whole levels of open blocks give fewer than `MIN_ROWS` rows, some
 * blocks of the next level are opened too.
 */
const [MAX_ROWS, MIN_ROWS] = [25, 12];

/** A module with at least two layers on the axis. */
export interface Block {
  path: string;
  /** positions of the block's layers, among them its own output */
  members: number[];
  /** position of the layer that is shown when the block is folded: the block's own output, else its last layer */
  row: number;
  /** the number of blocks around the block */
  depth: number;
}

/** One row of an axis. */
export interface Entry {
  /** the position of the row's layer */
  index: number;
  /** the path of the folded block that the row represents, if there is one */
  folded?: string;
}

/** The consecutive rows that an open block covers, from `first` to `last`, both included. */
export interface Bracket {
  path: string;
  first: number;
  last: number;
  depth: number;
}

export class LayerTree {
  readonly blocks = new Map<string, Block>();
  /** how many levels of blocks there are */
  readonly depth: number;
  /** for each layer the paths of the blocks around it, the outermost first */
  #above: string[][];

  constructor(readonly names: readonly string[]) {
    const members = new Map<string, number[]>();
    const own = new Map<string, number>();
    names.forEach((name, index) => {
      own.set(name, index);
      for (const path of pathsOf(name)) {
        const found = members.get(path);
        if (found) found.push(index);
        else members.set(path, [index]);
      }
    });
    const innermost = new Map<string, string>();
    for (const [path, found] of members) {
      if (found.length < 2) continue;
      const key = found.join();
      if (path.length > (innermost.get(key)?.length ?? -1)) innermost.set(key, path);
    }
    const kept = new Set(innermost.values());
    for (const [path, found] of members) {
      if (!kept.has(path)) continue;
      const depth = pathsOf(path)
        .slice(0, -1)
        .filter((above) => kept.has(above)).length;
      this.blocks.set(path, { path, members: found, row: own.get(path) ?? found.at(-1) ?? 0, depth });
    }
    this.#above = names.map((name) => pathsOf(name).filter((path) => this.blocks.has(path)));
    this.depth = [...this.blocks.values()].reduce((most, { depth }) => Math.max(most, depth + 1), 0);
  }

  /** The blocks around a layer, the outermost first; a block is around its own output too. */
  above(index: number): readonly string[] {
    return this.#above[index] ?? [];
  }

  /** The blocks of the first `depth` levels. */
  toDepth(depth: number): string[] {
    return [...this.blocks.values()].filter((block) => block.depth < depth).map(({ path }) => path);
  }

  /** The blocks that are open at first, for about 25 rows: the levels that fit, and small blocks of the next level. */
  defaultOpen(): string[] {
    const count = (open: string[]) => this.entries(new Set(open)).length;
    let depth = this.depth;
    while (depth > 0 && count(this.toDepth(depth)) > MAX_ROWS) depth--;
    const open = this.toDepth(depth);
    if (count(open) >= MIN_ROWS) return open;
    const next = [...this.blocks.values()].filter((block) => block.depth === depth);
    for (const { path } of next.sort((a, b) => a.members.length - b.members.length)) {
      if (count([...open, path]) <= MAX_ROWS) open.push(path);
    }
    return open;
  }

  /** The rows of the axis: the layers in no folded block, and one layer for each folded block. */
  entries(open: ReadonlySet<string>): Entry[] {
    const found: Entry[] = [];
    this.#above.forEach((above, index) => {
      const folded = above.find((path) => !open.has(path));
      if (folded === undefined) found.push({ index });
      else if (this.blocks.get(folded)?.row === index) found.push({ index, folded });
    });
    return found;
  }

  /** The ranges of at least two consecutive rows in one open block, by first row; outer blocks before inner ones. */
  brackets(entries: readonly Entry[]): Bracket[] {
    const found: Bracket[] = [];
    const running = new Map<string, number>();
    for (let position = 0; position <= entries.length; position++) {
      const entry = entries[position];
      let here: readonly string[] = [];
      if (entry) {
        here = this.above(entry.index);
        if (entry.folded !== undefined) here = here.slice(0, here.indexOf(entry.folded));
      }
      for (const [path, first] of running) {
        if (here.includes(path)) continue;
        running.delete(path);
        if (position - first < 2) continue;
        found.push({ path, first, last: position - 1, depth: this.blocks.get(path)?.depth ?? 0 });
      }
      for (const path of here) if (!running.has(path)) running.set(path, position);
    }
    return found.sort((a, b) => a.first - b.first || a.depth - b.depth);
  }
}

/** All prefixes of a dotted name that end before a dot, and the name itself: a, a.b and a.b.c for a.b.c. */
export function pathsOf(name: string): string[] {
  const parts = name.split(".");
  return parts.map((_, k) => parts.slice(0, k + 1).join("."));
}
