import {
  FakeServer,
  makeArtifact,
  makeDetail,
  makeSignature
} from '../../__tests__/fixtures';
import { plainText } from '../plain';

describe('plainText', () => {
  it.each([
    ['\u001b[1;31mERROR\u001b[0m failed', 'ERROR failed'],
    ['\u001b]8;;https://evil.test\u0007here\u001b]8;;\u0007', 'here'],
    ['\u001b(B\u001b[2Kdone', 'done'],
    // Text in a wrong encoding, not the sequence that a terminal of the eighties would make of it.
    ['M\u00c3\u009dnchen is up', 'M\u00c3\ufffdnchen is up'],
    ['\u009b31mred', '\ufffd31mred'],
    ['\u001b]0;title\u001b\\done', 'done'],
    ['\u001b]0;no end\nTraceback', '␛]0;no end\nTraceback'],
    ['\u001b]8;;no end\u001b[0m Traceback', '␛]8;;no end Traceback'],
    ['cut off\u001b[3', 'cut off␛[3'],
    ['bell\u0007 null\u0000 del\u007f', 'bell␇ null␀ del␡'],
    ['gnp\u202egpj.exe', 'gnp⟨U+202E⟩gpj.exe'],
    ['a\u2066b\u2069', 'a⟨U+2066⟩b⟨U+2069⟩'],
    ['two\r\nlines\tand a tab', 'two\nlines\tand a tab'],
    ['Größe → שלום 模型 👩‍🔬', 'Größe → שלום 模型 👩‍🔬']
  ])('of %j is %j', (text, expected) => {
    expect(plainText(text)).toBe(expected);
  });
});

describe('the client', () => {
  const EVIL = 'x\u001b[31m\u202ey';

  it('makes plain what is shown, and leaves what is sent as it is', async () => {
    const artifact = makeArtifact({
      name: EVIL,
      tags: { [EVIL]: EVIL },
      signature: makeSignature({ columns: [{ name: EVIL }] })
    });
    const { client } = new FakeServer().on(
      'GET models/1',
      makeDetail({ artifact })
    );
    const answer = (await client.model(1)).artifact;
    expect(answer.name).toBe('x⟨U+202E⟩y');
    expect(answer.tags).toEqual({ 'x⟨U+202E⟩y': 'x⟨U+202E⟩y' });
    expect(answer.signature?.columns[0].name).toBe(EVIL);
  });

  it('leaves nothing as it is that others have named like that', async () => {
    const names = { manifest: EVIL, signature: EVIL, next_cursor: EVIL };
    const artifact = makeArtifact({
      tags: names,
      details: { deep: [{ tags: names, ...names }] },
      environment: { python: '', python_version: '', host: '', packages: names }
    });
    const { client } = new FakeServer().on(
      'GET models/1',
      makeDetail({ artifact })
    );
    expect(JSON.stringify(await client.model(1))).not.toMatch(/\\u001b|\u202e/);
  });

  it('makes errors plain', async () => {
    const { client } = new FakeServer().fail('GET models/1', 404, {
      message: EVIL,
      hint: EVIL
    });
    await expect(client.model(1)).rejects.toMatchObject({
      message: 'x⟨U+202E⟩y',
      hint: 'x⟨U+202E⟩y'
    });
  });
});
