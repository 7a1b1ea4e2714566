/** Forms in which keys, codes and labels are bound to what they are for, and each without a part of it. */
import type { SourcePattern } from './sources.ts'

const crypto =
  /^(?:crypto\/(?:credentials|derive|envelope|fernet|keyring|keystore-record|namespace-keys|sealed-box|secret-cache|term-hash)|graph\/entity-names|memory\/(?:cursor|fields|grant-mark|vector-token)|database\/scope|namespaces\/instructions|accounts\/clients)\.ts$/u

const form = (pattern: RegExp, ...instead: readonly string[]): SourcePattern => ({
  files: crypto,
  pattern,
  instead: () => instead,
})

export const bindings: readonly SourcePattern[] = [
  // What a code is made over.
  form(/Buffer\.from\(context\.\w+(?:\.toString\(10\))?\)/gu, 'Buffer.alloc(0)'),
  form(/(?<!cipher)\.update\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)/gu, `.update('')`),
  // Where a value is.
  {
    files: crypto,
    pattern:
      /\{ namespace, id(?:: slot\.id)?, version(?:: slot\.version|: 0)?, column(?:: 'grant_mark')? \}/gu,
    instead: (found) => [
      found.replace('namespace', 'namespace: 0n'),
      found.replace(/\bid(?:: slot\.id)?/u, `id: ''`),
      found.replace(/version(?:: slot\.version|: 0)?/u, 'version: 77'),
      found.replace(/column(?:: 'grant_mark')?/u, `column: ''`),
    ],
  },
  form(
    /\{ namespace: this\.namespace, \.\.\.slot \}/gu,
    '{ ...slot, namespace: 0n }',
    `{ namespace: this.namespace, ...slot, id: '' }`,
    '{ namespace: this.namespace, ...slot, version: 77 }',
    `{ namespace: this.namespace, ...slot, column: 'content-key' }`,
  ),
  form(
    /\{ column: 'content-key', id, version \}/gu,
    `{ column: 'content-key', id: '', version }`,
    `{ column: 'content-key', id, version: 77 }`,
    `{ column: 'index-key', id, version }`,
  ),
  form(
    /contentKeySlot\('instructions', 0\)/gu,
    `contentKeySlot('', 0)`,
    `contentKeySlot('instructions', 7)`,
  ),
  form(/^const column = 'instructions'$/gu, `const column = ''`),
  form(
    /\{ namespace: 0n, id: idHash\.toString\('hex'\), version: 0, column: kind \}/gu,
    `{ namespace: 1n, id: idHash.toString('hex'), version: 0, column: kind }`,
    `{ namespace: 0n, id: '', version: 0, column: kind }`,
    `{ namespace: 0n, id: idHash.toString('hex'), version: 1, column: kind }`,
    `{ namespace: 0n, id: idHash.toString('hex'), version: 0, column: '' }`,
  ),
  {
    files: /^accounts\/clients\.ts$/u,
    pattern: /\$\{(?:kind|id)\}(?=[`|])/gu,
    instead: () => [''],
  },
  form(/`entity\/\$\{entity\}`/gu, `'entity/'`),
  form(/`namespace\/\$\{profile\}`/gu, `'namespace/'`),
  form(/version: plainBelow \?\? 0/gu, 'version: 0'),
  form(/^ {2}namespace: 0n,$/gu, '  namespace: 1n,'),
  form(/^ {2}id: 'installation',$/gu, `  id: 'other',`),
  form(/^ {2}version: 0,$/gu, '  version: 1,'),
  form(/^ {2}column: 'key-check',$/gu, `  column: 'content',`),
  form(
    /\[`\$\{principal\.namespace\}`, principal\.agent, operation, filter\]/gu,
    `['', principal.agent, operation, filter]`,
    `[\`\${principal.namespace}\`, '', operation, filter]`,
    `[\`\${principal.namespace}\`, principal.agent, '', filter]`,
    `[\`\${principal.namespace}\`, principal.agent, operation, '']`,
  ),
  // What a context says.
  {
    files: /^database\/scope\.ts$/u,
    pattern:
      /\$\{(?:actor\.namespace|hexOf\((?:actor\.)?agent\)|flags|expiresIn\(\w+\)|expires|reader|id|namespace)\}(?=\||`)/gu,
    instead: () => [''],
  },
  form(/`\|\|d\|/gu, '`||-|', '`7||d|'),
  // What a key is for.
  form(/'mindglue\/[\w-]+\/v1'/gu, `'mindglue/v1'`),
  form(/\$\{(?:namespace|recordId|purpose|label)\}(?=[`/|])/gu, ''),
  form(/'term\|'/gu, `''`),
  form(/'sha256', key, salt, info,/gu, `'sha256', key, noSalt, info,`, `'sha256', key, salt, '',`),
  form(/, 32, salt\),/gu, ', 32),'),
  form(
    /Buffer\.concat\(\[this\.#namespaceKey\(keyId\), epoch\.secret\]\)/gu,
    'Buffer.from(this.#namespaceKey(keyId))',
    'Buffer.from(epoch.secret)',
  ),
  form(
    /Buffer\.concat\(\[this\.#material\.salt, epoch\.secret\]\)/gu,
    'Buffer.from(this.#material.salt)',
    'Buffer.from(epoch.secret)',
  ),
  form(/`namespace\|\$\{keyId\}`, salt,/gu, '`namespace|${keyId}`, new Uint8Array(0),'),
  form(/\bisSame\(found\.source, source\)/gu, 'true'),
  // Who asks whether it is so.
  // Not of a form alone: what has another form is refused by its code as well.
  form(/\bthrow (?:envelopeFailure|refused|damaged)\((?!'format')[^)]*\)/gu, 'void 0'),
  form(/!timingSafeEqual\(/gu, 'false && timingSafeEqual('),
  form(
    /\btimingSafeEqual\(mac\(key, binding, payload\), bytes\.subarray\(0, macBytes\)\)/gu,
    'true',
  ),
  form(/checksum\(recordToJson\(record\)\) === file\.data\.checksum/gu, 'true'),
  form(/assert\(text\.equals\(keyCheckText\)\)/gu, 'void 0'),
]
