/** Every word on our pages, in every language. `{name}` stands for a value; what stands in a page and how: *-page.ts. */
export const WORDS = {
  en: {
    consentTitle: 'Connect to Frame',
    consentAsks: '{client} wants to work with the data of {company} in your name.',
    clientVerified: 'From {host}',
    clientUnverified: 'Unverified',
    clientUnverifiedWhy: 'This program chose its name itself. Allow it only if you have just started connecting it.',
    returnTo: 'You will be sent back to',
    loopbackWarning:
      'That is a program on this computer. Any program here can claim this name: allow it only if you have just started connecting it yourself.',
    accessLegend: 'What it may do',
    readTitle: 'Read only',
    readWhy: 'Look at tables and rows. It changes nothing.',
    writeTitle: 'Read and write',
    writeWhy: 'Also add, change and delete, as far as your own role allows.',
    readOnlyAsked: 'It asks for no more than this.',
    allow: 'Allow',
    cancel: 'Cancel',
    consentNext: 'Next, you sign in at Microsoft with your work account at {company}.',
    emailTitle: 'Which company do you work for?',
    emailAsks: '{client} wants to connect to Frame. Your work e-mail says which company you belong to.',
    emailLabel: 'Work e-mail',
    emailUnknown:
      'This address does not lead to a company here. Check it, or ask whoever gave you the address of Frame.',
    emailContinue: 'Continue',
    troubleTitle: 'This sign-in cannot go on',
    requestId: 'Request {id}',
    back: 'Back to {client}',
    beginAgain: 'Go back to your program and connect again.',
    clientUnknown: 'Frame does not know the program that sent you here.',
    clientUnknownAdvice: 'Go back to it, remove the connection to Frame and add it again.',
    clientUnreachable: 'Frame cannot read the description of the program that sent you here.',
    redirectWrong: 'The program that sent you here wants the answer at an address that it has not registered.',
    requestBroken: 'The program that sent you here asked in a way that Frame does not understand.',
    formForeign: 'This answer did not come from a page of Frame.',
    signInOver: 'This sign-in is over: it took too long, was finished already, or began in another browser.',
    notAdmitted: '{username} is signed in at {company}, but has no access to Frame.',
    notAdmittedAdvice: 'Ask whoever looks after Frame at {company} to give you access, then connect again.',
    busy: 'Frame is busy or being restarted.',
    tryAgain: 'Wait a minute, then connect again.',
    failed: 'Something went wrong on our side.',
    failedAdvice: 'Connect again. If it stays, tell whoever looks after Frame the request below.',
  },
  ko: {
    consentTitle: 'Frame 연결',
    consentAsks: '{client}에서 회원님의 이름으로 {company}의 데이터를 사용하려고 합니다.',
    clientVerified: '제공: {host}',
    clientUnverified: '확인되지 않음',
    clientUnverifiedWhy: '이 프로그램의 이름은 스스로 정한 것입니다. 방금 직접 연결을 시작한 경우에만 허용하세요.',
    returnTo: '돌아갈 주소',
    loopbackWarning:
      '이 컴퓨터에 있는 프로그램입니다. 이 컴퓨터의 어떤 프로그램이든 이 이름을 내세울 수 있으므로, 방금 직접 연결을 시작한 경우에만 허용하세요.',
    accessLegend: '허용할 작업',
    readTitle: '읽기 전용',
    readWhy: '테이블과 행을 볼 수만 있고, 아무것도 바꾸지 않습니다.',
    writeTitle: '읽기 및 쓰기',
    writeWhy: '회원님의 역할이 허용하는 범위에서 추가, 수정, 삭제도 할 수 있습니다.',
    readOnlyAsked: '이 프로그램은 읽기만 요청했습니다.',
    allow: '허용',
    cancel: '취소',
    consentNext: '다음 단계에서 {company}의 회사 계정으로 Microsoft에 로그인합니다.',
    emailTitle: '어느 회사에서 일하시나요?',
    emailAsks: '{client}에서 Frame에 연결하려고 합니다. 회사 이메일로 소속 회사를 확인합니다.',
    emailLabel: '회사 이메일',
    emailUnknown:
      '이 주소에 해당하는 회사가 여기에 없습니다. 주소를 확인하거나 Frame 주소를 알려 준 분에게 문의하세요.',
    emailContinue: '계속',
    troubleTitle: '로그인을 계속할 수 없습니다',
    requestId: '요청 {id}',
    back: '{client}(으)로 돌아가기',
    beginAgain: '사용하던 프로그램으로 돌아가 다시 연결하세요.',
    clientUnknown: '이 페이지로 보낸 프로그램을 Frame에서 찾을 수 없습니다.',
    clientUnknownAdvice: '그 프로그램에서 Frame 연결을 삭제한 뒤 다시 추가하세요.',
    clientUnreachable: '이 페이지로 보낸 프로그램의 정보를 읽을 수 없습니다.',
    redirectWrong: '이 페이지로 보낸 프로그램이 등록되지 않은 주소로 응답을 요청했습니다.',
    requestBroken: '이 페이지로 보낸 프로그램의 요청을 이해할 수 없습니다.',
    formForeign: '이 응답은 Frame 페이지에서 보낸 것이 아닙니다.',
    signInOver: '이 로그인은 끝났습니다. 시간이 지났거나, 이미 완료되었거나, 다른 브라우저에서 시작되었습니다.',
    notAdmitted: '{username} 계정은 {company}에 로그인했지만 Frame을 사용할 권한이 없습니다.',
    notAdmittedAdvice: '{company}의 Frame 담당자에게 권한을 요청한 뒤 다시 연결하세요.',
    busy: 'Frame이 지금 바쁘거나 다시 시작하는 중입니다.',
    tryAgain: '잠시 후 다시 연결하세요.',
    failed: 'Frame에 문제가 생겼습니다.',
    failedAdvice: '다시 연결하세요. 계속되면 Frame 담당자에게 아래 요청 번호를 알려 주세요.',
  },
} as const satisfies Record<string, Record<string, string>>;

export type Language = keyof typeof WORDS;
export type Words = { [Word in keyof (typeof WORDS)['en']]: string };

/** The language of ours that the browser likes best (RFC 9110 §12.5.4); English when it knows none. */
export function languageOf(headers: Headers): Language {
  const liked = (headers.get('accept-language') ?? '').split(',').flatMap(entry => {
    const [range = '', ...parameters] = entry
      .trim()
      .toLowerCase()
      .split(/\s*;\s*/);
    const language = LANGUAGES.find(known => range === known || range.startsWith(`${known}-`));
    const weight = Number(parameters.find(parameter => parameter.startsWith('q='))?.slice(2) ?? 1);
    return language && weight > 0 ? [{ language, weight }] : [];
  });
  return liked.reduce((best, one) => (one.weight > best.weight ? one : best), { language: 'en' as Language, weight: 0 })
    .language;
}

// Private

const LANGUAGES: readonly Language[] = ['en', 'ko'];
