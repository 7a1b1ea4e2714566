/** Function words: dropped from the terms, and the evidence whether a text is English. Lists are our own. */

const list = (words: string): readonly string[] => words.trim().split(/\s+/)

/**
 * English stop words, folded to ASCII, contractions' heads included (`don`, `isn`). The list BM25
 * was measured with on LoCoMo: without it recall@10 falls from 62 to 52 percent.
 */
export const englishStopWords: ReadonlySet<string> = new Set(
  list(`
  a about above after again against all am an and any are aren as at be because been before being
  below between both but by can cannot could couldn d did didn do does doesn doing don down during
  each few for from further had hadn has hasn have haven having he her here hers herself him himself
  his how i if in into is isn it its itself just let ll lot m me more most mustn my myself no nor not
  now o of off on once only or other ought our ours ourselves out over own re really s same shan she
  should shouldn so some such t than that the their theirs them themselves then there these they this
  those through to too under until up ve very was wasn we were weren what when where which while who
  whom why will with won would wouldn y you your yours yourself yourselves also`),
)

/** The English function words that are rare in other languages: they mark a text as English. */
export const englishMarkers: ReadonlySet<string> = new Set(
  list(`
  the of and to is was are were for with that this it he she they you my his their from by at be have
  has had not but what who when where how why which did does i we our your them will would there been
  as if its can could should about than then just
  `),
)

/** Function words of German, Dutch and the Scandinavian languages, which write compounds as one word; folded. */
export const compoundMarkers: ReadonlySet<string> = new Set(
  list(`
  der die und ist sind nicht ein eine einen einem einer dem den im fur mit von auf wird werden auch
  wurde wurden bei aus nach war als zur zum
  het een niet voor zijn
  och att det som ar inte pa av og ikke til af
  `),
)

/**
 * Function and question words of other languages, folded (no marks, lower case). Words that are also
 * common English words stay out. They cost half the postings of a text and find nothing.
 */
export const otherStopWords: ReadonlySet<string> = new Set(
  list(`
  der die das den dem des ein eine einer eines einem einen und oder aber ist sind waren wurde wurden
  wird werden hat haben hatte hatten mit von vom zu zum zur im auf aus bei nach uber unter fur durch
  ich du er sie es wir ihr sich nicht auch als wie wer wo wann warum welche welcher welches wieviel
  viele diese dieser dieses ihre ihrer seine seiner dass kein keine mich mir dich dir uns
  el la los las un una unos unas y o de del al en con por para que como cual cuales quien cuando donde
  cuanto cuantos cuantas cuanta es son fue fueron era eran ser ha han habia su sus se lo le les mas
  pero si ya muy este esta estos estas ese esa mi tu te nos
  le les des du et ou dans sur avec pour par qui quand ou quel quelle quels quelles combien est sont
  etait etaient ete etre avoir avait ont il elle ils elles je nous vous ce cet cette ces ne pas plus
  son sa ses leur leurs aux au comme mon ma mes
  il gli della delle dello degli dei nel nella nelle che chi quale quali quanto quanti come dove quando
  perche sono era erano stato stata suo sua suoi loro piu anche questo questa non
  os um uma uns umas da dos das no na nos nas em com nao quem qual quais onde quando foi foram seu sua
  het een van voor niet zijn werd werden wie wat waar wanneer hoe welke deze dit ook naar bij maar
  och att det som pa av ar var inte den till med hur vad vem nar vilken har hade og ikke til er af
  hvad hvem hvor hvordan jeg
  jest sa byl byla bylo byli nie sie na z do w i ktory ktora ktore kto kiedy gdzie jak ile czy oraz
  si la cu din pe care ce cine cand unde cat cate cati este sunt fost era au mai pentru prin sau
  ve bir bu ile icin da de ne kim nasil nerede hangi kac olarak olan oldu olmustur vardir mi mu gibi
  daha cok en sonra kadar her ama ise degil
  yang dan di ke dari ini itu dengan untuk pada adalah apa siapa kapan dimana bagaimana berapa tidak
  и в во не что он на я с со как а то все она так его но да ты к у же вы за бы по ее мне было вот от
  меня еще нет о из ему теперь когда даже ну ли если или ни быть был него до вас нибудь была были
  это этот эта эти кто где какой какая какие каких каком какую сколько почему чем при для их им который
  которая которые которых которои том тем этого этои есть также
  і в у та на що як це до не за від про був була було були хто де коли чому який яка які скільки
  και το τα η ο οι του της των τον την στο στη στην στον με για απο που ποιος ποια ποιο ποιοι πως ποσα
  ποσοι ποσες ποτε τι ειναι ηταν εχει ειχε να θα δεν σε ως μια ενα ενας αυτο κατα
  من في على الى عن مع هذا هذه ذلك التي الذي ما ماذا متى اين كيف كم هل هو هي كان كانت او ان لا لم ثم قد بين
  كل بعد قبل اي
  है हैं था थी थे का की के को में से पर और या ने यह वह क्या कौन कब कहाँ कैसे कितने कितनी किस किसने किया गया
  गई लिए एक हो भी नहीं तो इस उस कि जो साथ ही अपने
  และ ที่ ใน ของ เป็น ได้ การ มี ไม่ ว่า จะ ให้ กับ โดย อะไร ใคร เมื่อ ไหน อย่างไร นี้ นั้น ซึ่ง จาก ไป มา
  `),
)

/** With their marks: without them they are other languages' words and each other's. */
export const vietnameseStopWords: ReadonlySet<string> = new Set(
  list(`
  và của là các những một trong khi nào gì ai được cho với có không tại từ đã đang sẽ này đó như thì
  mà ở bởi vì về để cũng bao nhiêu ra đến`),
)
