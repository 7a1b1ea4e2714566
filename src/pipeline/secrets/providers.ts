/**
 * Credentials whose issuers gave them a shape of their own, from the issuers' documents. A prefix is worth
 * more than any entropy: these are replaced wherever they stand.
 */
import { endsWithCrc, entropyOf, passesBase58Check } from './checks.ts'
import type { Rule } from './rule.ts'

/** Not glued to a longer word on either side; CJK text has no blanks, so only ASCII counts. */
const start = String.raw`(?<![A-Za-z0-9_])`
const end = String.raw`(?![A-Za-z0-9_])`

/** Examples such as `ghp_xxxxxxxx` are no secrets. */
const varied = (secret: string): boolean => entropyOf(secret) >= 2.6

function token(kind: string, hints: string, shape: string, more: Partial<Rule> = {}): Rule {
  return {
    kind,
    hints: hints.split(' '),
    pattern: new RegExp(`${start}(?:${shape})${end}`, 'gu'),
    accepts: varied,
    ...more,
  }
}

const uuid = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'
/** Ours is checked to the last digit; what is cut off or mistyped opens nothing, but shows most of a key. */
const ours = (secret: string): boolean => endsWithCrc(secret) || varied(secret)

export const providerRules: readonly Rule[] = [
  token('mindglue-api-key', 'mgk_', String.raw`mgk_[0-9A-Za-z]{22}_[0-9A-Za-z]{49}`, {
    accepts: ours,
  }),
  token('mindglue-secret-key', 'mindglue-secret-', String.raw`mindglue-secret-[\w-]{20,}`),
  // Clouds
  token('aws-access-key', 'AKIA ASIA ABIA ACCA', '(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}'),
  token(
    'aws-session-token',
    'FwoGZXIv IQoJb3Jp',
    '(?:FwoGZXIvYXdz|IQoJb3JpZ2lu)[A-Za-z0-9/+]{60,}={0,2}',
  ),
  token('aws-bedrock-key', 'ABSK', 'ABSK[A-Za-z0-9+/]{60,}={0,2}'),
  token('google-api-key', 'AIza', String.raw`AIza[\w-]{35}`),
  token('google-oauth-token', 'ya29.', String.raw`ya29\.[\w-]{20,}`),
  token(
    'google-refresh-token',
    '1//0 4/0A AMf-vB',
    String.raw`1//0[\w-]{40,}|4/0A[\w-]{40,}|AMf-vB[\w-]{60,}`,
  ),
  token('google-oauth-secret', 'GOCSPX-', String.raw`GOCSPX-[\w-]{28}`),
  token('azure-client-secret', 'Q~', String.raw`[\w.~-]{3}\dQ~[\w.~-]{31,34}`),
  token(
    'azure-storage-key',
    'AccountKey= SharedAccessKey=',
    String.raw`(?:AccountKey|SharedAccessKey)=(?<secret>[A-Za-z0-9+/]{42,86}={1,2})`,
    { pattern: /(?:AccountKey|SharedAccessKey)=(?<secret>[A-Za-z0-9+/]{42,86}={1,2})/gu },
  ),
  token('azure-sas', 'sig=', '', {
    pattern: /[?&;]sig=(?<secret>[\w%+/-]{40,90}(?:%3[Dd]|=)?)/gu,
  }),
  token(
    'azure-key',
    'JQQJ9 AzSe AzCa ACDb AzFu',
    String.raw`[A-Za-z0-9]{52}JQQJ9[9D][A-Za-z0-9]{24,30}|[A-Za-z0-9+/]{30,48}(?:AzSe|AzCa|ACDb|AzFu)[A-Za-z0-9+/]{5,9}={0,2}`,
  ),
  token('azure-devops-token', 'AZDO', '[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}'),
  token('digitalocean-token', 'do', String.raw`do[oprt]_v1_[a-f0-9]{64}`, { hints: ['_v1_'] }),
  token('heroku-key', 'HRKU-', String.raw`HRKU-[\w-]{36,}`),
  token('cloudflare-origin-key', 'v1.0-', String.raw`v1\.0-[a-f0-9]{24}-[a-f0-9]{100,}`),
  token('alibaba-access-key', 'LTAI', 'LTAI[A-Za-z0-9]{12,24}'),
  token('tencent-secret-id', 'AKID', 'AKID[A-Za-z0-9]{32}'),
  token(
    'yandex-cloud-key',
    'AQVN t1.',
    String.raw`AQVN[\w-]{35,38}|t1\.[A-Z0-9a-z_-]+={0,2}\.[A-Z0-9a-z_-]{86}={0,2}`,
  ),
  token('ibm-cloud-key', 'ApiKey-', `ApiKey-${uuid}`),
  token('fly-token', 'FlyV1 fm2_', String.raw`(?:fm[12][ar]?_|fo1_)[A-Za-z0-9+/=_,-]{40,}`),
  token('render-key', 'rnd_', 'rnd_[A-Za-z0-9]{28,40}'),
  token(
    'vercel-token',
    'vc vercel_',
    'vc[a-z]_[A-Za-z0-9]{24,64}|vercel_blob_rw_[A-Za-z0-9]{16,}_[A-Za-z0-9]{24,}',
    { hints: ['vcp_', 'vck_', 'vca_', 'vci_', 'vcr_', 'vercel_blob'] },
  ),
  token('scaleway-key', 'SCW', 'SCW[A-Z0-9]{17}'),
  token('netlify-token', 'nfp_', 'nfp_[A-Za-z0-9]{36,40}'),
  token('supabase-key', 'sbp_ sb_secret_', String.raw`sbp_[a-f0-9]{40}|sb_secret_[\w-]{20,}`),
  token('planetscale-token', 'pscale_', String.raw`pscale_(?:tkn|pw|oauth)_[\w.=-]{32,64}`),
  token('neon-key', 'napi_', 'napi_[a-z0-9]{60,}'),
  token('databricks-token', 'dapi', String.raw`dapi[a-f0-9]{32}(?:-\d)?`),
  token('tailscale-key', 'tskey-', String.raw`tskey-[a-z]+-[A-Za-z0-9]+-[A-Za-z0-9]{16,}`),
  token('neon-password', 'npg_', 'npg_[A-Za-z0-9]{12,}'),
  // Code and delivery
  token('github-token', 'ghp_ gho_ ghu_ ghs_ ghr_', 'gh[pousr]_[A-Za-z0-9]{36,255}'),
  token('github-fine-grained-token', 'github_pat_', 'github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}'),
  token(
    'gitlab-token',
    'gl',
    String.raw`gl(?:pat|dt|rt|cbt|oas|ptt|ft|soat|imt|agent|rtr|wt)-[\w.-]{20,}`,
    {
      hints:
        'glpat- gldt- glrt- glcbt- gloas- glptt- glft- glsoat- glimt- glagent- glrtr- glwt-'.split(
          ' ',
        ),
    },
  ),
  token('gitlab-runner-token', 'GR1348941', String.raw`GR1348941[\w-]{20,}`),
  token('bitbucket-token', 'ATBB ATCTT3', String.raw`ATBB[A-Za-z0-9]{32,}|ATCTT3[\w=-]{60,}`),
  token('atlassian-token', 'ATATT3', String.raw`ATATT3[\w=-]{60,}`),
  token('npm-token', 'npm_', 'npm_[A-Za-z0-9]{36}'),
  token('pypi-token', 'pypi-', String.raw`pypi-[A-Za-z0-9_-]{50,}`),
  token('rubygems-key', 'rubygems_', 'rubygems_[a-f0-9]{48}'),
  token('crates-io-token', 'cio', 'cio[A-Za-z0-9]{32}'),
  token('nuget-key', 'oy2', 'oy2[a-z0-9]{43}'),
  token('docker-token', 'dckr_', String.raw`dckr_(?:pat|oat)_[\w-]{27,}`),
  token('artifactory-token', 'AKCp cmVmdGtu', 'AKCp[A-Za-z0-9]{60,}|cmVmdGtu[A-Za-z0-9]{56}'),
  token('circleci-token', 'CCI', String.raw`CCI(?:PAT|PRJ)_[A-Za-z0-9]{22}_[a-f0-9]{40}`),
  token('buildkite-token', 'bkua_', 'bkua_[a-f0-9]{40}'),
  token('sonar-token', 'sq', 'sq[apu]_[a-f0-9]{40}', { hints: ['sqa_', 'sqp_', 'squ_'] }),
  token('sourcegraph-token', 'sgp_', String.raw`sgp_(?:[a-zA-Z0-9]{16}_|local_)?[a-f0-9]{40}`),
  token('vault-token', 'hv', String.raw`hv[sbr]\.[\w-]{24,}`, { hints: ['hvs.', 'hvb.', 'hvr.'] }),
  token('terraform-token', '.atlasv1.', String.raw`[A-Za-z0-9]{14}\.atlasv1\.[\w-]{60,}`),
  token('pulumi-token', 'pul-', 'pul-[a-f0-9]{40}'),
  token(
    'doppler-token',
    'dp.',
    String.raw`dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_-]+\.)?[A-Za-z0-9]{40,44}`,
  ),
  token('infracost-key', 'ico-', 'ico-[A-Za-z0-9]{32}'),
  token(
    'age-secret-key',
    'AGE-SECRET-KEY-',
    'AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}',
  ),
  token(
    '1password-token',
    'ops_eyJ A3-',
    String.raw`ops_eyJ[\w=-]{80,}|A3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}`,
  ),
  token('launchdarkly-key', 'sdk- api- mob-', `(?:sdk|api|mob)-${uuid}`),
  token('statsig-key', 'secret-', 'secret-[A-Za-z0-9]{40,}'),
  token('posthog-key', 'phx_ phs_', 'ph[xs]_[A-Za-z0-9]{40,}'),
  // Payment
  token('stripe-key', 'sk_ rk_', '(?:sk|rk)_(?:live|test|prod)_[A-Za-z0-9]{10,}'),
  token('webhook-secret', 'whsec_', String.raw`whsec_[A-Za-z0-9+/=]{24,}`, {
    pattern: /(?<![A-Za-z0-9_])whsec_[A-Za-z0-9+/]{24,}={0,2}/gu,
  }),
  token('square-token', 'sq0 EAAA', String.raw`sq0(?:atp|csp|idp)-[\w-]{22,43}|EAAA[\w-]{56,64}`),
  token(
    'braintree-token',
    'access_token$',
    String.raw`access_token\$(?:production|sandbox)\$[a-z0-9]{16}\$[a-f0-9]{32}`,
  ),
  token('shopify-token', 'shp', 'shp(?:at|ca|pa|ss|tka)_[a-fA-F0-9]{32,}', {
    hints: ['shpat_', 'shpca_', 'shppa_', 'shpss_', 'shptka_'],
  }),
  token('plaid-token', 'access-', `access-(?:sandbox|development|production)-${uuid}`),
  token('razorpay-key', 'rzp_', 'rzp_(?:live|test)_[A-Za-z0-9]{14,}'),
  token('flutterwave-key', 'FLWSECK', String.raw`FLWSECK(?:_TEST)?-[A-Za-z0-9]{12,32}(?:-X)?`),
  token('mollie-key', 'live_ test_', '(?:live|test)_[A-Za-z0-9]{30}'),
  token('gocardless-token', 'live_ sandbox_', String.raw`(?:live|sandbox)_[\w-]{40}`, {
    accepts: (secret) => varied(secret) && /\d.*\d/u.test(secret),
  }),
  token('paddle-key', 'pdl_', String.raw`pdl_(?:live|sdbx)_apikey_\w{40,}`),
  token('adyen-key', 'AQE', String.raw`AQE[a-z][A-Za-z0-9+/]{10,}[\w+/.=-]{50,}`),
  token('woocommerce-key', 'ck_ cs_', 'c[ks]_[a-f0-9]{40}'),
  token('ebay-key', 'PRD- SBX-', '(?:PRD|SBX)-[a-f0-9]{10,12}-[a-f0-9]{8}(?:-[a-f0-9]{4}){3}'),
  token(
    'amazon-token',
    'amzn1.oa2-cs amzn.mws. Atzr|',
    String.raw`amzn1\.oa2-cs\.v1\.[a-f0-9]{64}|amzn\.mws\.${uuid}|Atzr\|[\w-]{60,}`,
  ),
  token('infura-key', 'infura.io/ alchemy.com/', '', {
    pattern: /(?:infura\.io|alchemy\.com)\/(?:nft\/)?v[23]\/(?<secret>[\w-]{32})(?![\w-])/gu,
  }),
  token('bitcoin-private-key', '', '[5KL][1-9A-HJ-NP-Za-km-z]{50,51}', {
    hints: ['5', 'K', 'L'],
    accepts: passesBase58Check,
  }),
  token('extended-private-key', 'prv', '[xyz]prv[1-9A-HJ-NP-Za-km-z]{107}'),
  // Chat and mail
  token(
    'slack-token',
    'xox xapp-',
    String.raw`xox[abeoprs](?:\.xox[bp])?-[\w-]{10,}|xapp-\d-[A-Z0-9]+-\d+-[a-f0-9]{32,}`,
  ),
  token('slack-webhook', 'hooks.slack.com/', '', {
    pattern: /hooks\.slack\.com\/(?:services|workflows|triggers)\/(?<secret>[A-Za-z0-9/]{30,})/gu,
  }),
  token('discord-token', '.', String.raw`[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,40}`),
  token('discord-webhook', '/api/webhooks/', '', {
    pattern: /discord(?:app)?\.com\/api\/webhooks\/(?<secret>\d{15,20}\/[\w-]{50,})/gu,
  }),
  token('teams-webhook', '.webhook.office.com/', '', {
    pattern:
      /webhook\.office\.com\/webhookb2\/(?<secret>[\w@-]{36,}\/IncomingWebhook\/[\w/-]{36,})/gu,
  }),
  // Its address has `bot` right before it.
  token('telegram-token', ':AA', String.raw`(?:bot)?(?<secret>\d{8,10}:AA[\w-]{32,34})`),
  token('twilio-key', 'SK AC', '(?:SK|AC)[0-9a-f]{32}'),
  token('sendgrid-key', 'SG.', String.raw`SG\.[\w-]{20,24}\.[\w-]{39,50}`),
  token('mailgun-key', 'key-', 'key-[0-9a-f]{32}|[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8}', {
    hints: ['key-', '-'],
  }),
  token('mandrill-key', 'md-', String.raw`md-[\w-]{22}`, {
    accepts: (secret) => varied(secret) && /\d/u.test(secret) && /[A-Z]/u.test(secret),
  }),
  token('matrix-token', 'syt_', 'syt_[A-Za-z0-9+/=]{2,}_[A-Za-z0-9]{20}_[A-Za-z0-9]{6}'),
  token('fcm-key', 'APA91b', String.raw`AAAA[\w-]{7}:APA91b[\w-]{100,}`),
  token('linkedin-token', 'AQ WPL_AP', String.raw`AQ[S-X][\w-]{100,}|WPL_AP\d\.[\w.]{16,}={0,2}`, {
    hints: ['AQS', 'AQT', 'AQU', 'AQV', 'AQW', 'AQX', 'WPL_AP'],
  }),
  token('twitch-token', 'oauth:', 'oauth:[a-z0-9]{30}'),
  token('instagram-token', 'IGQ', String.raw`IGQ[\w-]{80,}`),
  token('mailchimp-key', '-us', '[0-9a-f]{32}-us[0-9]{1,2}'),
  token('brevo-key', 'xkeysib- xsmtpsib-', 'x(?:key|smtp)sib-[a-f0-9]{64}-[A-Za-z0-9]{16}'),
  token('resend-key', 're_', 're_[A-Za-z0-9]{8}_[A-Za-z0-9]{20,}'),
  token('facebook-token', 'EAA', 'EAA[A-Za-z0-9]{80,}'),
  token('twitter-bearer', 'AAAAAAAAAAAAAAAAAAAA', 'A{20,22}[A-Za-z0-9%]{30,}'),
  // AI
  token('anthropic-key', 'sk-ant-', String.raw`sk-ant-[a-z]{3,5}\d\d-[\w-]{40,}`),
  token('openrouter-key', 'sk-or-', 'sk-or-v1-[a-f0-9]{64}'),
  token(
    'openai-key',
    'sk- sess-',
    String.raw`sk-(?:proj|svcacct|admin|None)-[\w-]{20,}|sk-[A-Za-z0-9]{20,}|sess-[A-Za-z0-9]{40}`,
  ),
  token('langfuse-key', 'sk-lf-', `sk-lf-${uuid}`),
  token('elevenlabs-key', 'sk_', 'sk_[a-f0-9]{48}'),
  token('cerebras-key', 'csk-', 'csk-[a-z0-9]{40,}'),
  token('fireworks-key', 'fw_', 'fw_[A-Za-z0-9]{20,}'),
  token('together-key', 'tgp_v1_', String.raw`tgp_v1_[\w-]{40,}`),
  token('voyage-key', 'pa-', String.raw`pa-[\w-]{40,}`),
  token('jina-key', 'jina_', 'jina_[A-Za-z0-9_-]{40,}'),
  token('firecrawl-key', 'fc-', 'fc-[a-f0-9]{32}'),
  token('wandb-key', 'wandb_v1_', String.raw`wandb_v1_[\w-]{40,}`),
  token('huggingface-token', 'hf_ api_org_', '(?:hf_|api_org_)[A-Za-z0-9]{34,40}'),
  token('replicate-token', 'r8_', 'r8_[A-Za-z0-9]{37}'),
  token('groq-key', 'gsk_', 'gsk_[A-Za-z0-9]{40,56}'),
  token('perplexity-key', 'pplx-', 'pplx-[A-Za-z0-9]{40,56}'),
  token('xai-key', 'xai-', 'xai-[A-Za-z0-9]{70,90}'),
  token('tavily-key', 'tvly-', String.raw`tvly-[\w-]{20,}`),
  token('pinecone-key', 'pcsk_', String.raw`pcsk_\w{50,}`),
  token('langsmith-key', 'lsv2_', 'lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}'),
  token('nvidia-key', 'nvapi-', String.raw`nvapi-[\w-]{60,70}`),
  // Watching, working together
  token(
    'grafana-token',
    'glsa_ glc_ eyJrIjoi',
    String.raw`glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}|glc_[A-Za-z0-9+/]{32,}={0,2}|eyJrIjoi[A-Za-z0-9+/]{60,}={0,2}`,
  ),
  token('sentry-token', 'sntry', String.raw`sntrys_[A-Za-z0-9+/=_-]{40,}|sntryu_[a-f0-9]{64}`),
  token(
    'newrelic-key',
    'NRAK- NRJS- NRII- NRAL',
    String.raw`NR(?:AK|JS|II)-[\w-]{19,32}|[a-f0-9]{36}NRAL`,
  ),
  token('dynatrace-token', 'dt0', String.raw`dt0[a-z]\d\d\.[A-Z0-9]{8,24}\.[A-Z0-9]{64}`),
  token('honeycomb-key', 'hc', 'hc[abi][a-z]{2}_[a-z0-9]{58}', {
    hints: ['hcaik_', 'hcaic_', 'hcamk_', 'hcbik_', 'hcxik_'],
  }),
  token('linear-key', 'lin_', 'lin_(?:api|oauth|wh)_[A-Za-z0-9]{32,64}'),
  token('notion-token', 'ntn_ secret_', 'ntn_[A-Za-z0-9]{40,50}|secret_[A-Za-z0-9]{43}'),
  token('figma-token', 'figd_', String.raw`figd_[\w-]{38,44}`),
  token('airtable-token', 'pat', String.raw`pat[A-Za-z0-9]{14}\.[a-f0-9]{64}`),
  token('hubspot-token', 'pat-', `pat-(?:na|eu|ap)\\d-${uuid}`),
  token('postman-key', 'PMAK-', 'PMAK-[a-f0-9]{24}-[a-f0-9]{34}'),
  token('asana-token', '/', String.raw`[0-2]/\d{10,}(?:/\d{10,})?:[a-f0-9]{32}`, {
    hints: ['0/', '1/', '2/'],
  }),
  token('trello-token', 'ATTA', 'ATTA[A-Za-z0-9]{60,}'),
  token('clickup-token', 'pk_', String.raw`pk_\d{6,}_[A-Z0-9]{32}`),
  token('dropbox-token', 'sl.', String.raw`sl\.(?:u\.)?[\w-]{100,}`),
  token('sanity-token', 'sk', 'sk[A-Za-z0-9]{100,200}'),
  token('salesforce-token', '00D', String.raw`00D[A-Za-z0-9]{12,15}![\w.]{80,}`),
  token('intercom-token', 'dG9rOj', 'dG9rOj[A-Za-z0-9+/]{30,}={0,2}'),
  token('mapbox-token', 'sk.eyJ', String.raw`sk\.eyJ[\w-]{40,}\.[\w-]{20,}`),
  token('contentful-token', 'CFPAT-', String.raw`CFPAT-[\w-]{40,46}`),
  token('typeform-token', 'tfp_', String.raw`tfp_[\w.=-]{40,}`),
  token('shippo-token', 'shippo_', 'shippo_(?:live|test)_[a-f0-9]{40}'),
  token('easypost-key', 'EZ', 'EZ[AT]K[A-Za-z0-9]{54}', { hints: ['EZAK', 'EZTK'] }),
]
