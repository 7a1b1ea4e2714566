/** What date is read from what phrase, by language; said on Monday 8 May 2023 at 13:56. All in UTC. */
import { describe, expect, test } from 'vitest'
import { resolveDates } from '../../src/pipeline/dates.ts'

const saidAt = new Date('2023-05-08T13:56:00Z')

/** "2023-05-07 day", or "2023-05-03..2023-05-05 day" where it is longer than one. */
function read(text: string, outlook?: 'task'): string | null {
  const date = resolveDates(text, saidAt, outlook)
  if (!date) return null
  const [from, to] = [date.from, date.to].map((time) => time.toISOString().slice(0, 10))
  return `${from === to ? from : `${from}..${to}`} ${date.grain}`
}

describe('English, before and after', () => {
  test.each([
    ['We met yesterday', '2023-05-07 day'],
    ['The day before yesterday it rained', '2023-05-06 day'],
    ['See you tomorrow', '2023-05-09 day'],
    ['See you tmrw', '2023-05-09 day'],
    ['See you day after tomorrow', '2023-05-10 day'],
    ['The day after tomorrow we fly', '2023-05-10 day'],
    ['The fair is today', '2023-05-08 day'],
    ['I finished it three days ago', '2023-05-05 day'],
    ['I finished it 12 days ago', '2023-04-26 day'],
    ['A week ago she called', '2023-05-01..2023-05-07 week'],
    ['A fortnight ago she called', '2023-04-24..2023-04-30 week'],
    ['A couple of weeks ago she called', '2023-04-24..2023-04-30 week'],
    ['She moved eleven months ago', '2022-06-01..2022-06-30 month'],
    ['She moved twenty years ago', '2003-01-01..2003-12-31 year'],
    ['She moved twenty-one days ago', '2023-04-17 day'],
    ['The exam is in two days', '2023-05-10 day'],
    ['The exam is within two days', '2023-05-10 day'],
    ['The exam is in 10 days', '2023-05-18 day'],
    ['The exam is in twenty days', '2023-05-28 day'],
    ['The exam is in twenty-one days', '2023-05-29 day'],
    ['The exam is within twenty days', '2023-05-28 day'],
    ['The exam is in a few days', '2023-05-11 day'],
    ['The exam is in a couple of weeks', '2023-05-22..2023-05-28 week'],
    ['The exam is in about three weeks', '2023-05-29..2023-06-04 week'],
    ['The exam is in a fortnight', '2023-05-22..2023-05-28 week'],
    ['The exam is in six months', '2023-11-01..2023-11-30 month'],
    ['We decided to launch in two weeks', '2023-05-22..2023-05-28 week'],
    ['The exam is in a year', '2024-01-01..2024-12-31 year'],
    ['The lease ends two years from now', '2025-01-01..2025-12-31 year'],
    ['The lease ends ten days from today', '2023-05-18 day'],
    ['The lease ends a week from tomorrow', '2023-05-16 day'],
    ['The lease ends two weeks from Friday', '2023-05-26 day'],
    ['The lease ends two weeks after Friday', '2023-05-26 day'],
    ['The lease ends 2 weeks from 5 June', '2023-06-19..2023-06-25 week'],
    ['The lease ends 2 weeks after 5 June', '2023-06-19..2023-06-25 week'],
    ['Last week was long', '2023-05-01..2023-05-07 week'],
    ['Next week is full', '2023-05-15..2023-05-21 week'],
    ['The week after next is full', '2023-05-22..2023-05-28 week'],
    ['Last month was long', '2023-04-01..2023-04-30 month'],
    ['Next year is full', '2024-01-01..2024-12-31 year'],
    ['The demo is tomorrow at 3pm', '2023-05-09 hour'],
    ['Next summer we sail', '2023-06-01..2023-08-31 season'],
  ])('%s', (text, expected) => {
    expect(read(text)).toBe(expected)
  })
})

describe('English weekdays: a past verb goes back, all else ahead', () => {
  test.each([
    ['I met her on Friday', '2023-05-05 day'],
    ['On Friday I got great news', '2023-05-05 day'],
    ['We talked about it Wednesday', '2023-05-03 day'],
    ['He was ill on Sunday', '2023-05-07 day'],
    ['I met her on Monday', '2023-05-01 day'],
    ['The book he bought on Friday is good', '2023-05-05 day'],
    ['I need to remember what we did on Friday', '2023-05-05 day'],
    ['We stayed until Friday', '2023-05-05 day'],
    ['We were in Rome from Monday to Wednesday', '2023-05-01..2023-05-03 day'],
    ['Remind me to call the dentist on Friday.', '2023-05-12 day'],
    ['Call the dentist on Saturday', '2023-05-13 day'],
    ['Submit the report by Friday', '2023-05-12 day'],
    ['The report is due Thursday', '2023-05-11 day'],
    ['I will see her on Sunday', '2023-05-14 day'],
    ["I'll see her on Sunday", '2023-05-14 day'],
    ["We're meeting on Sunday", '2023-05-14 day'],
    ['The party is on Saturday', '2023-05-13 day'],
    ['She asked for the draft by Saturday', '2023-05-13 day'],
    ['I booked a table for Saturday', '2023-05-13 day'],
    ['The call was moved to Saturday', '2023-05-13 day'],
    ['The meeting is scheduled on Saturday', '2023-05-13 day'],
    ['He said the talk will be on Sunday', '2023-05-14 day'],
    ['We are in Rome from Friday to Sunday', '2023-05-12..2023-05-14 day'],
    ['We should meet on Monday', '2023-05-15 day'],
    ['Monday: standup', '2023-05-08 day'],
    ['Dinner with Anna on Sunday', '2023-05-14 day'],
    ['The call is Sunday at 3pm', '2023-05-14 hour'],
    ['I saw the film last Friday', '2023-05-05 day'],
    ['The film starts this Friday', '2023-05-12 day'],
    ['The film starts next Friday', '2023-05-19 day'],
    ['The film starts Friday next week', '2023-05-19 day'],
    ['The coming Sunday is free', '2023-05-14 day'],
    ['She was born on Friday', '2023-05-05 day'],
    ['The heater is on since Friday', '2023-05-05 day'],
    ['We ate there. Book it for Sunday!', '2023-05-14 day'],
    ['I will write. We met on Sunday', '2023-05-07 day'],
  ])('%s', (text, expected) => {
    expect(read(text)).toBe(expected)
  })
})

describe('English months and days without their year', () => {
  test.each([
    ['We travel in June', '2023-06-01..2023-06-30 month'],
    ['We travelled in June', '2022-06-01..2022-06-30 month'],
    ['We will travel in March', '2024-03-01..2024-03-31 month'],
    ['We travelled in March', '2023-03-01..2023-03-31 month'],
    ['It opens next December', '2023-12-01..2023-12-31 month'],
    ['It opened last December', '2022-12-01..2022-12-31 month'],
    ['It opened last June', '2022-06-01..2022-06-30 month'],
    ['It opens next May', '2024-05-01..2024-05-31 month'],
    ['It opened last May', '2022-05-01..2022-05-31 month'],
    ['It opens this November', '2023-11-01..2023-11-30 month'],
    ['It opened in December last year', '2022-12-01..2022-12-31 month'],
    ['The invoice from March is unpaid', '2023-03-01..2023-03-31 month'],
    ['The invoice is from April 12.', '2023-04-12 day'],
    ['Here is the receipt of 12 April.', '2023-04-12 day'],
    ['The current lease is dated 1 March.', '2023-03-01 day'],
    ['We should have shipped on 3 April', '2023-04-03 day'],
    ['The concert is on 3 April', '2024-04-03 day'],
    ['The move is scheduled for 3 April', '2024-04-03 day'],
    ['Esta es la factura del 12 de abril', '2023-04-12 day'],
    ['Hier ist die Rechnung vom 12. April', '2023-04-12 day'],
    ["C'est la facture du 12 avril", '2023-04-12 day'],
    ['Wir ziehen am 12. August um', '2023-08-12 day'],
    ['A reunião é no dia 12 de junho', '2023-06-12 day'],
    ['De vergadering is op 12 juni', '2023-06-12 day'],
    ['La riunione è il 12 giugno', '2023-06-12 day'],
    ['It was paid by 3 April', '2023-04-03 day'],
    ['It opens in June next year', '2024-06-01..2024-06-30 month'],
    ['It opens next year in June', '2024-06-01..2024-06-30 month'],
    ['The fair is in May', '2023-05-01..2023-05-31 month'],
    ['Pay the fine by 3 April', '2024-04-03 day'],
    ['I paid the fine on 3 April', '2023-04-03 day'],
    ['I paid the fine on 3 September', '2022-09-03 day'],
    ['The wedding on 3 September', '2023-09-03 day'],
    ['The wedding is on June 5th at 3pm', '2023-06-05 hour'],
    ['It opened in May 2019', '2019-05-01..2019-05-31 month'],
    ['The first of June is free', '2023-06-01 day'],
    ['Due at the end of next month', '2023-06-30 day'],
    ["I've got news: she's coming in March", '2024-03-01..2024-03-31 month'],
    ['She wanted to row in September', '2023-09-01..2023-09-30 month'],
    ['He gave me until 3 September', '2023-09-03 day'],
    ['It has been dead since June', '2022-06-01..2022-06-30 month'],
    ['The first Friday in June is free', '2023-06-01..2023-06-30 month'],
    ['She wants twelve a month from September', '2023-09-01..2023-09-30 month'],
    ['Ready on 2023-06-05', '2023-06-05 day'],
    ['Ready on 12 May 2022', '2022-05-12 day'],
  ])('%s', (text, expected) => {
    expect(read(text)).toBe(expected)
  })

  test('a task without a sign looks ahead, a memory to the nearest', () => {
    expect(read('Tax return, 3 April')).toBe('2023-04-03 day')
    expect(read('Tax return, 3 April', 'task')).toBe('2024-04-03 day')
    expect(read('Fix what we broke on Friday', 'task')).toBe('2023-05-05 day')
  })
})

describe('ranges of days', () => {
  test.each([
    ['The fair is from 3 to 5 May', '2024-05-03..2024-05-05 day'],
    ['The fair ran from 3 to 5 May', '2023-05-03..2023-05-05 day'],
    ['Fair: from 3 to 5 May', '2023-05-03..2023-05-05 day'],
    ['Fair: 3-5 May 2024', '2024-05-03..2024-05-05 day'],
    ['Fair between 3 and 5 June', '2023-06-03..2023-06-05 day'],
    ['Fair from the 3rd to the 5th of June', '2023-06-03..2023-06-05 day'],
    ['Fair: June 3 to 5', '2023-06-03..2023-06-05 day'],
    ['Fair: June 3-5, 2024', '2024-06-03..2024-06-05 day'],
    ['Fair: 30 May to 3 June', '2023-05-30..2023-06-03 day'],
    ['Messe vom 3. bis 5. Juni', '2023-06-03..2023-06-05 day'],
    ['La foire du 3 au 5 juin', '2023-06-03..2023-06-05 day'],
    ['La feria del 3 al 5 de junio', '2023-06-03..2023-06-05 day'],
    ['A feira de 3 a 5 de junho', '2023-06-03..2023-06-05 day'],
    ['La fiera dal 3 al 5 giugno', '2023-06-03..2023-06-05 day'],
    ['De beurs van 3 tot 5 juni', '2023-06-03..2023-06-05 day'],
    ['Ярмарка с 3 по 5 мая', '2023-05-03..2023-05-05 day'],
  ])('%s', (text, expected) => {
    expect(read(text)).toBe(expected)
  })
})

describe('other languages', () => {
  test.each([
    ['Die Prüfung ist in zwei Tagen', '2023-05-10 day'],
    ['Die Prüfung ist in 3 Wochen', '2023-05-29..2023-06-04 week'],
    ['Die Prüfung ist übermorgen', '2023-05-10 day'],
    ['Morgen ist die Prüfung', '2023-05-09 day'],
    ['Vorgestern war die Prüfung', '2023-05-06 day'],
    ['Vor zwei Tagen war die Prüfung', '2023-05-06 day'],
    ['Ich habe sie am Freitag getroffen', '2023-05-05 day'],
    ['Wir waren am Freitag dort', '2023-05-05 day'],
    ['Bitte bis Freitag abgeben', '2023-05-12 day'],
    ['Nächste Woche fliegen wir', '2023-05-15..2023-05-21 week'],
    ['Im Mai fliegen wir', '2023-05-01..2023-05-31 month'],
    ['Wir waren im Juni 2021 dort', '2021-06-01..2021-06-30 month'],
    ["Il l'a prévu pour la semaine prochaine", '2023-05-15..2023-05-21 week'],
    ["L'examen est dans deux jours", '2023-05-10 day'],
    ['On part après-demain', '2023-05-10 day'],
    ['On est arrivé avant-hier', '2023-05-06 day'],
    ['Je suis allé au zoo hier', '2023-05-07 day'],
    ['Hier il a plu', '2023-05-07 day'],
    ['Je pars dimanche', '2023-05-14 day'],
    ['Il a appelé vendredi', '2023-05-05 day'],
    ["Il faut l'appeler vendredi", '2023-05-12 day'],
    ['On part en mars 2024', '2024-03-01..2024-03-31 month'],
    ['Le mois dernier il a plu', '2023-04-01..2023-04-30 month'],
    ['El examen es en dos días', '2023-05-10 day'],
    ['El examen es pasado mañana', '2023-05-10 day'],
    ['Llegó anteayer', '2023-05-06 day'],
    ['Llegó hace dos semanas', '2023-04-24..2023-04-30 week'],
    ['Llegó la semana pasada', '2023-05-01..2023-05-07 week'],
    ['Llega la semana que viene', '2023-05-15..2023-05-21 week'],
    ['Llegó el viernes pasado', '2023-05-05 day'],
    ['Tengo que llamar el viernes', '2023-05-12 day'],
    ['La vi el viernes', '2023-05-05 day'],
    ['El 5 de junio es la boda', '2023-06-05 day'],
    ['A prova é em dois dias', '2023-05-10 day'],
    ['A prova é depois de amanhã', '2023-05-10 day'],
    ['Cheguei anteontem', '2023-05-06 day'],
    ['Cheguei há duas semanas', '2023-04-24..2023-04-30 week'],
    ['Cheguei na semana passada', '2023-05-01..2023-05-07 week'],
    ['A prova é na próxima sexta-feira', '2023-05-12 day'],
    ["L'esame è tra due giorni", '2023-05-10 day'],
    ["L'esame è dopodomani", '2023-05-10 day'],
    ["È arrivato l'altro ieri", '2023-05-06 day'],
    ['È arrivato due settimane fa', '2023-04-24..2023-04-30 week'],
    ['Devo chiamare venerdì', '2023-05-12 day'],
    ['Ho chiamato venerdì', '2023-05-05 day'],
    ['Het examen is over twee dagen', '2023-05-10 day'],
    ['Het examen is overmorgen', '2023-05-10 day'],
    ['Eergisteren was het examen', '2023-05-06 day'],
    ['Ik moet vrijdag bellen', '2023-05-12 day'],
    ['Provet är om två dagar', '2023-05-10 day'],
    ['Provet är i övermorgon', '2023-05-10 day'],
    ['Provet var i går', '2023-05-07 day'],
    ['Provet var för två veckor sedan', '2023-04-24..2023-04-30 week'],
    ['Förra veckan var provet', '2023-05-01..2023-05-07 week'],
    ['Koe on kahden päivän päästä', '2023-05-10 day'],
    ['Koe on ylihuomenna', '2023-05-10 day'],
    ['Koe oli viime viikolla', '2023-05-01..2023-05-07 week'],
    ['Экзамен через два дня', '2023-05-10 day'],
    ['Экзамен послезавтра', '2023-05-10 day'],
    ['Экзамен был две недели назад', '2023-04-24..2023-04-30 week'],
    ['Я встретил её в пятницу', '2023-05-05 day'],
    ['Нужно позвонить в пятницу', '2023-05-12 day'],
    ['Іспит через два дні', '2023-05-10 day'],
    ['Іспит був минулого тижня', '2023-05-01..2023-05-07 week'],
    ['考试在两天后', '2023-05-10 day'],
    ['考试在后天', '2023-05-10 day'],
    ['我们上周见面', '2023-05-01..2023-05-07 week'],
    ['我们去年见面', '2022-01-01..2022-12-31 year'],
    ['試験は2日後です', '2023-05-10 day'],
    ['試験は明後日です', '2023-05-10 day'],
    ['先週は試験でした', '2023-05-01..2023-05-07 week'],
    ['Kỳ thi sau 2 ngày', '2023-05-10 day'],
    ['Ujian dalam dua hari', '2023-05-10 day'],
    ['Ujian lusa', '2023-05-10 day'],
    ['الامتحان بعد يومين', '2023-05-10 day'],
    ['الامتحان بعد غد', '2023-05-10 day'],
  ])('%s', (text, expected) => {
    expect(read(text)).toBe(expected)
  })
})

describe('a word that another language uses in dates leaves English alone', () => {
  test.each([
    ['I bought a Sun server on Friday', '2023-05-05 day'],
    ['I bought a sedan last Friday', '2023-05-05 day'],
    ['The Mars rover landed yesterday', '2023-05-07 day'],
    ['Mai and I met yesterday', '2023-05-07 day'],
    ['Mei called me yesterday', '2023-05-07 day'],
    ['We put mayo on it yesterday', '2023-05-07 day'],
    ['Julio and I met last Friday', '2023-05-05 day'],
    ['Domingo sang two days ago', '2023-05-06 day'],
    ['Avril sings tomorrow', '2023-05-09 day'],
    ['April and June met yesterday', '2023-05-07 day'],
    ['Mei called me', null],
    ['We put mayo on it', null],
    ['The Mars rover landed', null],
    ['Mai and I met', null],
    ['Domingo sang', null],
    ['I bought a sedan', null],
    ['Ernesto Sabato wrote it', null],
    ['The ensign left', null],
    ['Wir sind hier', null],
    ['Guten Morgen zusammen', null],
  ])('%s', (text, expected) => {
    expect(read(text)).toBe(expected)
  })
})

/** A wrong date is worse than none: it makes a task overdue and moves the memory in the ranking. */
describe('no date is read, on purpose', () => {
  test.each([
    'You may be right', 'It may rain', 'They march on', 'The march was long', 'The sun is up', 'He sat down', 'She took the SAT',
    'Wait a second', 'The second attempt failed', 'Do not fall', 'We wed in secret', 'The deck is on the table',
    'Augustus ruled Rome', 'A boat from Augustów', 'Mei-Ling runs it',
  ])('a word that is also a month or a day: %s', (text) => expect(read(text)).toBeNull())

  test.each([
    'Upgrade to version 2.10', 'Node 20.19.1 runs it', 'It costs $5.50', 'It costs 12 euros', 'Call 555-1234',
    'Call +1 212 555 1234', 'Room 3-4', 'Raised from 3 to 5', 'Between 3 and 5 people came', 'Pages 3 to 5', 'Order 20231',
    'The port is 5433', '3 of 5 tests fail', 'About 50% more',
  ])('a number: %s', (text) => expect(read(text)).toBeNull())

  test.each([
    'I ran it in 2 hours', 'We built it in two days', 'She learned it within three weeks', 'I left after 3 years',
    'He worked there for three years', 'I will stay for two weeks', 'We did two things in one day', 'All day long',
  ])('how long something took: %s', (text) => expect(read(text)).toBeNull())

  test.each([
    'We meet every Friday', 'The bin goes out each Monday', 'Most Fridays we eat out', 'I call on Sunday evenings',
    'The key rotates on Mondays', 'The key rotates on the first Monday', 'Jeden Freitag gehe ich laufen',
  ])('what comes again and again: %s', (text) => expect(read(text)).toBeNull())

  test.each([
    'Two days before the wedding', 'The other day', 'These days are good', 'Some day soon', 'Once upon a time', 'At Christmas',
    'On the 15th', 'In Q3', 'Half past three', 'A day in the life',
  ])('too vague, or reckoned from what is not known: %s', (text) => expect(read(text)).toBeNull())
}) // prettier-ignore
