/** What the demo shows and how: headings, answers, wrapped text. Plain where no terminal shows colours. */
import { print, styleFor } from '../src/cli/output.ts'

const style = styleFor(process.stdout)
const columnsMax = 96
/** A terminal that does not say its width says 0. */
const width = Math.min(columnsMax, (process.stdout.isTTY && process.stdout.columns) || columnsMax)

let steps = 0

/** A numbered heading. */
export function heading(text: string): void {
  steps += 1
  const rule = '─'.repeat(Math.max(2, width - text.length - 6))
  print(`\n${style.cyan(style.bold(`${steps}. ${text}`))} ${style.dim(rule)}`)
}

export function title(text: string, subtitle: string): void {
  print(`\n${style.bold(text)}  ${style.dim(subtitle)}`)
}

export function good(text: string): void {
  print(`   ${style.green('✓')} ${text}`)
}

export function bad(text: string): void {
  print(`   ${style.red('✗')} ${style.red(text)}`)
}

/** A quiet line below another one. */
export function aside(text: string): void {
  for (const line of wrap(text, width - 5)) print(`     ${style.dim(line)}`)
}

/** Something to copy: no decoration, no wrapping. */
export function verbatim(text: string): void {
  for (const line of text.split('\n')) print(line === '' ? '' : `  ${line}`)
}

export function caption(text: string, place: string): void {
  print(`\n${style.bold(text)}  ${style.dim(place)}`)
}

export interface AnswerView {
  readonly question: string
  readonly content: string
  readonly provenance: readonly string[]
  readonly score: number
  readonly milliseconds: number
  /** Place of the expected note from 1; undefined when it is not among the first three. */
  readonly place: number | undefined
}

const barCells = 10

export function answer(view: AnswerView): void {
  const mark = view.place === undefined ? style.red('✗') : style.green('✓')
  print(`\n ${mark} ${style.bold(view.question)}`)
  for (const line of wrap(view.content, width - 5)) print(`     ${line}`)
  const filled = Math.round(Math.min(1, Math.max(0, view.score)) * barCells)
  const bar = `${'█'.repeat(filled)}${'░'.repeat(barCells - filled)}`
  const milliseconds = style.dim(`${view.milliseconds.toFixed(0)} ms`)
  print(`     ${style.yellow(`${bar} ${view.score.toFixed(2)}`)}  ${milliseconds}`)
  aside(view.provenance.join(' · '))
  if (view.place === undefined) aside('The note that was expected is not among the first three.')
  else if (view.place > 1) aside(`The note that was expected is number ${view.place}.`)
}

/** Breaks at spaces; a word longer than the line stays whole. */
function wrap(text: string, columns: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/\s+/u)) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  return [...lines, line]
}
