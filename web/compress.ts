/** Writes a brotli and a gzip variant beside each file of the build, where that is shorter. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import type { Plugin } from 'vite';

const brotli = promisify(brotliCompress);
const zip = promisify(gzip);

export function compress(): Plugin {
  let folder = '';
  let written = false;
  return {
    name: 'herald-compress',
    apply: 'build',
    configResolved(config) {
      folder = path.resolve(config.root, config.build.outDir);
    },
    writeBundle() {
      written = true;
    },
    async closeBundle() {
      // A build that failed left nothing, and what failed is to be heard.
      if (!written) return;
      const entries = await readdir(folder, { recursive: true, withFileTypes: true });
      await Promise.all(
        entries.filter((entry) => entry.isFile()).map((entry) => variants(path.join(entry.parentPath, entry.name))),
      );
    },
  };
}

async function variants(file: string): Promise<void> {
  const plain = await readFile(file);
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
    [constants.BROTLI_PARAM_SIZE_HINT]: plain.length,
  };
  const made = [
    ['br', await brotli(plain, { params })],
    ['gz', await zip(plain, { level: constants.Z_BEST_COMPRESSION })],
  ] as const;
  for (const [end, bytes] of made) {
    if (bytes.length < plain.length) await writeFile(`${file}.${end}`, bytes);
  }
}
