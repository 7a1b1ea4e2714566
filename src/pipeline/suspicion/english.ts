/** What instructions to a model look like in English. A weight of 4 is enough by itself; see suspicion.ts. */
import type { Phrase } from './phrases.ts'

const drop =
  'overwrite|ignore|disregard|forget|bypass|override|overrule|discard|abandon|circumvent|neglect'
const gone = 'void|obsolete|superseded|invalid|cancelled|canceled|revoked|replaced|outdated|null'
const model = 'ai|assistant|llm|chatbot|agent|model|copilot|claude|chatgpt|gpt|gemini'
const call = 'call|invoke|execute|run|trigger'
const not = 'dont|not|never|avoid|cannot'
const person = 'user|users|human|humans|operator'
const secret =
  'password*|credential*|secret|secrets|token|tokens|apikey|key|keys|history|memories|cookies'

export const english: readonly Phrase[] = [
  // Old instructions go.
  [
    'override',
    4,
    `${drop} 3 previous|previously|prior|above|earlier|preceding|foregoing 2 instruction*|prompt*|rule|rules|guideline*|directive*|command|commands|constraint*|restriction*|programming`,
  ],
  [
    'override',
    4,
    `${drop} 2 all|any|every|your 2 instruction*|prompt*|guideline*|directive*|programming|safeguard*|guardrail*|restriction*`,
  ],
  ['override', 4, `${drop} 2 instruction*|prompt*|rules|guideline* 1 above|before|previously`],
  [
    'override',
    4,
    `${drop} 2 system|developer|safety|core|internal|original|initial 2 instruction*|prompt*|rule|rules|guideline*`,
  ],
  [
    'override',
    3,
    `${drop} 2 system|developer|safety|content|ethical 2 policy|policies|message*|restriction*|filter*|protocol*`,
  ],
  [
    'override',
    4,
    `${drop} 1 everything|anything|whatever|all 2 you 2 told|taught|given|instructed|learned 1 before|previously|earlier|so`,
  ],
  [
    'override',
    3,
    'ignore|disregard|forget 2 everything|anything|whatever|all 3 above|before|previously|earlier|told|said|learned|instructed',
  ],
  [
    'override',
    4,
    `stop|${not} 1 follow*|obey*|comply*|adhere* 4 previous|prior|above|earlier|system|developer|developers|original|your|initial 2 instruction*|prompt*|rule|rules|guideline*|polic*`,
  ],
  [
    'override',
    4,
    `instruction*|prompt|prompts|guideline* 3 above|before|previous|previously|earlier 4 ${gone}`,
  ],
  [
    'override',
    4,
    `previous|prior|earlier|above|original|old 1 instruction*|prompt|prompts|guideline* 4 ${gone}`,
  ],
  ['override', 3, 'your 1 new|real|actual|true|only|updated 1 instruction*|directive*|prompt'],
  [
    'override',
    2,
    'your 1 new|real|actual|true|only|primary 1 task|goal|objective|purpose|mission 1 is|are',
  ],
  ['override', 2, 'new|updated|revised|secret|hidden|embedded 0 instruction*|directive*|orders'],
  ['override', 2, 'instead|rather 3 obey|comply|follow 3 instruction*|command*|me|these|this'],
  [
    'override',
    2,
    'follow|obey|execute|perform|carry 3 hidden|embedded|secret|encoded|decoded|new|my 1 instruction*|command*|orders|directive*',
  ],
  // Talk of the prompt itself.
  [
    'prompt',
    4,
    'reveal|print|show|repeat|output|leak|display|dump|disclose|recite|expose|share|tell|give|quote|paste 4 your 2 system|hidden|initial|original|internal|secret|full 1 prompt*|instruction*|message*|rules|configuration|guidelines',
  ],
  [
    'prompt',
    4,
    'reveal|print|show|repeat|output|leak|display|disclose|recite|quote 3 hidden|initial|original|secret 1 instruction*|prompt*|message*|rules 3 you 2 given|received|got|started',
  ],
  [
    'prompt',
    3,
    'reveal|repeat|leak|dump|disclose|recite|expose|verbatim 3 system 0 prompt*|instruction*|message',
  ],
  ['prompt', 3, 'repeat|print|output|recite 3 everything|words|text|all 2 above|before'],
  [
    'prompt',
    3,
    'end|start|begin|beginning 0 of 1 system|previous|assistant 0 prompt|instruction*|context|message',
  ],
  ['prompt', 1, 'system 0 prompt*|message'],
  ['prompt', 1, 'words|word 1 you 0 are'],
  // Somebody else from now on.
  [
    'role',
    4,
    'you 0 are 0 now 6 unrestricted|jailbroken|dan|unfiltered|uncensored|developer|god|evil|free|freed|unbound|hacker|administrator|admin|superuser',
  ],
  ['role', 2, 'you 0 are 0 now 0 a|an|the|in|no|my|acting'],
  [
    'role',
    3,
    'act|behave|respond|pretend|roleplay|function|operate 3 as|like|you|without 5 unrestricted|jailbroken|dan|unfiltered|uncensored|limitless',
  ],
  [
    'role',
    4,
    'you 3 no 0 longer 2 bound|restricted|limited|subject|constrained|governed 2 by|to 4 rule|rules|guideline*|polic*|filter*|instruction*|developer*|restriction*',
  ],
  ['role', 2, 'limit*|restriction*|filter*|safeguard* 3 lifted|removed|disabled|off'],
  [
    'role',
    2,
    'enter|enable|activate|switch|engage|unlock 3 developer|debug|god|jailbreak|dan|maintenance|unrestricted|sudo|root 0 mode',
  ],
  [
    'limits',
    2,
    'without|no|zero|free 1 any|ethical|moral|content|safety|of 2 filter*|guideline*|restriction*|limitation*|constraint*|safeguard*',
  ],
  // Borrowed authority.
  [
    'authority',
    3,
    'important|urgent|critical|mandatory|priority|special|confidential|hidden|secret 1 instruction*|message|notice|note|directive*|update 1 for|to 2 ai|assistant|assistants|model|models|agents|llm|llms|chatbot*|bots',
  ],
  [
    'authority',
    4,
    'note|message|instruction*|notice|warning 0 to|for 0 any|all|every 0 ai|llm|llms|assistant*|agent|agents|model|models|bot|bots',
  ],
  [
    'authority',
    2,
    `attention|note|message|instruction*|directive*|reminder|memo 1 to|for 2 ${model}|llms|assistants|agents`,
  ],
  [
    'authority',
    2,
    'system|admin|administrator|root|security|developer|policy|operator 0 override|directive|instruction*|command',
  ],
  ['authority', 2, 'take|takes|has|have|given 1 precedence|priority 1 over|above'],
  ['authority', 1, 'highest|top|absolute|maximum|utmost 0 priority'],
  [
    'authority',
    2,
    'this|following 2 official|authorized|authorised|mandatory|system|binding 1 instruction*|directive*|command|policy',
  ],
  [
    'authority',
    2,
    'rule|instruction*|entry|memory 3 permanent|permanently|immutable|irrevocable|binding',
  ],
  [
    'authority',
    2,
    'anthropic|openai|google|microsoft 2 instruct*|requires|mandates|orders|authorized|authorised',
  ],
  // To whom it speaks.
  ['address', 1, model],
  ['address', 2, 'by|from|as 1 your|its 1 developer*|creator*|administrator|admin|operators'],
  [
    'address',
    2,
    'dear|hey|hello|attention|listen 1 ai|assistant|llm|chatbot|agent|model|claude|gpt',
  ],
  ['address', 3, 'if 0 you 1 are|re 2 ai|llm|language|assistant|agent|bot|chatbot'],
  // When it is to happen.
  [
    'trigger',
    2,
    'when|whenever|once|if|after|upon|as 1 you 2 read|see|find|open|receive|encounter 2 this|these|memory|note|document|page|email|message|entry|word|phrase',
  ],
  [
    'trigger',
    3,
    'when|whenever|once|if|after|upon|as 1 you 2 recall|retrieve|process|load|access|summarize|summarise|parse 2 this|these|memory|note|document|page|email|message|entry',
  ],
  [
    'trigger',
    3,
    'when|whenever|once|if|after|upon|as 3 this|these 0 memory|note|entry|record|text 2 recalled|retrieved|read|loaded|accessed|shown|returned|surfaced|found',
  ],
  [
    'trigger',
    2,
    'when|whenever|if|every|each|anytime|time 3 user|human 2 ask*|mention*|request*|say|says|want*|quer*|type*',
  ],
  [
    'trigger',
    3,
    'when|whenever|if|every|each|anytime|time 3 user|human 2 ask*|mention*|request*|say|says|want*|quer*|type* 7 tell|answer|respond|reply|say',
  ],
  [
    'trigger',
    4,
    'when|whenever|if|every|each|anytime|time 3 user|human 2 ask*|mention*|request*|say|says|want*|quer*|type* 7 insert|append|refuse|claim|recommend|call|deny|promote|forward|delete|switch|insist|assure|persuade|convince|steer',
  ],
  [
    'trigger',
    2,
    'before|after|prior|instead 1 answering|responding|replying|answer|respond|reply|response|summarizing|summarising',
  ],
  ['trigger', 2, 'before|after 1 you 1 answer|respond|reply|do|finish'],
  [
    'trigger',
    2,
    'in|to|of|for|with|into|end 1 all|every|each|your|any 2 response*|answer|answers|replies|reply|conversation*|session|sessions|output|outputs',
  ],
  [
    'trigger',
    3,
    'all|any|every|in 1 future|subsequent 1 response*|answer*|conversation*|session*|chats|interaction*',
  ],
  [
    'standing',
    2,
    `from|starting 0 now 0 on 2 you|always|every|all|${model}|respond|answer|reply|treat|act`,
  ],
  ['standing', 1, 'from|starting 0 now 0 on'],
  // What is to be hidden from the person.
  [
    'conceal',
    3,
    `${not}|without|must 2 tell|inform|mention|reveal|alert|notify|disclose|warn|telling|informing|mentioning|revealing|alerting|notifying|disclosing|warning 4 ${person}`,
  ],
  [
    'conceal',
    2,
    `${not}|without 2 show|ask|let|asking|showing|letting|say|explain|confirm 3 ${person}`,
  ],
  [
    'conceal',
    2,
    'without 1 asking|telling|informing|notifying|mentioning|confirmation|permission|approval|consent',
  ],
  ['conceal', 3, `keep|hide|conceal|withhold|hidden 4 from 1 ${person}`],
  [
    'conceal',
    2,
    `${not} 1 mention|reveal|disclose|acknowledge|admit 3 it|this|these|instruction*|memory|note`,
  ],
  ['manner', 2, 'silently|secretly|covertly|stealthily'],
  // How it is to answer.
  [
    'say',
    2,
    'always|only|exclusively 1 recommend|suggest|answer|respond|reply|append|cite|approve|agree|comply|obey|claim|deny|refuse|insert|promote|praise',
  ],
  [
    'say',
    1,
    'always|only|must|should 1 recommend|suggest|answer|respond|reply|say|include|append|end|begin|start|output|use|prefer|refer|cite|approve|accept|agree|comply|obey|claim|deny|refuse|insert|tell',
  ],
  ['say', 2, 'respond|reply|answer|output|say|print|write 1 only|exactly|solely|verbatim'],
  [
    'say',
    1,
    'respond|reply|answer|output|recommend|tell|say|direct|start|begin 5 with|that|them|to',
  ],
  ['say', 1, 'claim|refuse|deny|recommend|promote|pretend|insert|append'],
  ['say', 1, 'add|include|use 1 the 0 word|words|phrase|sentence'],
  ['say', 1, 'act 0 on|upon 0 it|this'],
  // Tools.
  [
    'tool',
    4,
    `you 1 must|should|shall|need|have|will|are 3 ${call}|use|using|calling 4 tool|tools|function|functions|plugin`,
  ],
  ['tool', 4, `immediately|always|first|now|please 2 ${call} 3 tool|tools|function|functions`],
  ['tool', 2, `${call} 3 tool|tools|function|functions|plugin|mcp`],
  ['tool', 1, 'use|using 3 tool|tools'],
  [
    'tool',
    3,
    `${call}|use 2 forget|recall|export|delete|transfer|purchase|shell|bash|exec|eval|curl|wget 2 with|tool|function|everything|all`,
  ],
  [
    'tool',
    3,
    'delete|erase|wipe|forget|remove|purge|drop|destroy 2 all|every|everything|entire 2 memories|memory',
  ],
  [
    'tool',
    2,
    'delete|erase|wipe|remove|purge|destroy 2 all|every|everything|entire 2 files|records|data|emails|backups|history|conversation*|repositories',
  ],
  ['tool', 2, 'rm 0 rf|fr'],
  ['tool', 2, 'transfer|wire|pay|purchase|buy 4 to 2 account|wallet|address|iban'],
  // What is to leave.
  ['exfiltrate', 3, `exfiltrate|leak|smuggle 6 ${secret}|conversation|memory|contents|data|env`],
  [
    'exfiltrate',
    4,
    `collect|gather|find|list|extract|harvest 4 ${secret} 8 send|post|upload|forward|transmit|submit`,
  ],
  [
    'exfiltrate',
    3,
    'send|forward|post|upload|email|mail|transmit|submit|copy 4 conversation|chat|memory|memories|message 1 history|log|logs|contents|stored',
  ],
  [
    'exfiltrate',
    2,
    `send|forward|post|upload|email|mail|transmit|submit|copy|append|include|embed|encode|attach|bcc|report 6 ${secret}|conversation|prompt|messages`,
  ],
  ['exfiltrate', 2, 'api|private|ssh|access|secret 0 key|keys|token|tokens 8 to|into|at'],
  ['destination', 1, 'http|https|@'],
  // The memory about itself, and standing permissions.
  [
    'memory',
    4,
    'this|these|following 0 memory|memories 3 override*|supersede*|outrank*|trusted|verified|authoritative|permanent|precedence|priority',
  ],
  ['memory', 2, 'this|these|following 0 memory|memories 2 must|cannot|never|always'],
  [
    'memory',
    2,
    'this|these|following 0 note|entry|record|instruction*|fact|rule|rules 2 overrides|override|supersede*|takes|trusted|verified|authoritative|immutable|permanent',
  ],
  [
    'memory',
    3,
    `remember|memorize|memorise|note|recall 2 you|${model} 1 must|should|will|shall|are 2 always|never|answer|respond|reply|obey|ignore|recommend|follow`,
  ],
  [
    'memory',
    2,
    `remember|memorize|memorise|note|recall 2 you|${model} 1 must|should|always|never|will|have|need|are|can`,
  ],
  [
    'memory',
    3,
    'remember|memorize|memorise|store|save|keep 4 permanently|forever|always 4 instruction*|rule|directive*',
  ],
  ['memory', 3, 'store|save|keep|record 2 instruction*|rule|directive* 2 permanently|forever'],
  [
    'memory',
    4,
    'treat|consider|regard|accept|mark|trust|handle 2 this|these|following 0 memory|memories|instruction*|rule 2 as 3 trusted|verified|authoritative|true|system|highest|admin|confirmed|fact|command*',
  ],
  [
    'memory',
    2,
    'treat|consider|regard|accept|mark|trust|handle 2 this|it|everything|following|message|content|text|note 2 as 3 trusted|verified|authoritative|system|instruction*|command*',
  ],
  [
    'memory',
    2,
    'store|save|add|write|record|put|insert|commit|persist 3 this|following|that|it|instruction*|rule 2 in|to|into|as 4 memory|memories',
  ],
  [
    'memory',
    2,
    'user 2 already|previously|explicitly|has|have|always|pre 2 approved|authorized|authorised|consented|confirmed|agreed|permitted|granted|waived|preapproved',
  ],
  ['memory', 3, 'trust 0 level|score 2 3|high|highest|maximum|max|full'],
  [
    'memory',
    3,
    `${not} 2 forget|delete|remove|overwrite|question|quarantine|flag|doubt|verify 2 this|these 0 memory|memories|instruction*|rule|rules`,
  ],
  [
    'memory',
    2,
    'update|change|modify|rewrite|edit|overwrite 2 your 2 memory|memories|beliefs|knowledge|instruction*|behavior|behaviour',
  ],
  [
    'memory',
    2,
    'persist*|survive*|carry|apply|applies|remain*|effective|active|valid 3 across|future|all|every 2 session|sessions|conversation*|chats|interactions',
  ],
  ['self', 1, 'this|these 0 note|memory|entry|instruction*|rule|record|text'],
]
