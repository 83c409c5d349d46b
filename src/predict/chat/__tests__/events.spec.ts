import { makeRef } from '../../../__tests__/fixtures';
import { bodyOf } from '../conversation';
import { EventReader } from '../events';
import { asPython } from '../python';
import { problemIn } from '../view';

const OPTIONS = { system: '', maxTokens: '', temperature: '' };

function chunk(delta: object, finish: string | null = null): string {
  const choices = [{ index: 0, delta, finish_reason: finish }];
  return `data: ${JSON.stringify({ choices })}\n\n`;
}

describe('EventReader', () => {
  it('reads events wherever the pieces are cut', () => {
    const stream =
      chunk({ role: 'assistant', content: '' }) +
      chunk({ content: 'Grüß ' }) +
      chunk({ content: 'dich' }) +
      chunk({}, 'stop') +
      'data: {"choices": [], "usage": {"completion_tokens": 7}}\n\n' +
      'data: [DONE]\n\n';
    for (const size of [1, 3, 1000]) {
      const reader = new EventReader();
      const events = [];
      for (let at = 0; at < stream.length; at += size) {
        events.push(...reader.read(stream.slice(at, at + size)));
      }
      expect(events.map(one => one.text).join('')).toBe('Grüß dich');
      expect(events.map(one => one.finish).join('')).toBe('stop');
      expect(Math.max(...events.map(one => one.tokens))).toBe(7);
    }
  });

  it('reads completions, errors and what is neither', () => {
    const reader = new EventReader();
    const [text] = reader.read('data: {"choices": [{"text": "on"}]}\n\n');
    expect(text.text).toBe('on');
    const [failed] = reader.read('data: {"error": {"message": "no room"}}\n\n');
    expect(failed.error).toBe('no room');
    const [plain] = reader.read('data: {"error": "no room"}\n');
    expect(plain.error).toBe('no room');
    expect(reader.read(': a comment\nevent: x\n')).toEqual([]);
    expect(reader.read('data: {"broken\n')[0]).toMatchObject({ text: '' });
  });
});

describe('bodyOf', () => {
  const messages = [
    { role: 'user' as const, content: 'a' },
    { role: 'assistant' as const, content: 'b' },
    { role: 'user' as const, content: 'c' }
  ];

  it('puts the system prompt first', () => {
    const options = { system: ' Be brief. ', maxTokens: '8', temperature: '0' };
    expect(bodyOf(messages, options, true)).toEqual({
      messages: [{ role: 'system', content: 'Be brief.' }, ...messages],
      max_tokens: 8,
      temperature: 0
    });
  });

  it('gives a model that does not chat the last message', () => {
    expect(bodyOf(messages, OPTIONS, false)).toEqual({ prompt: 'c' });
  });

  it('is written as Python', () => {
    const body = bodyOf(
      messages.slice(0, 1),
      { ...OPTIONS, maxTokens: '8' },
      true
    );
    expect(asPython(makeRef(), body)).toContain(
      'endpoint.chat([{"role":"user","content":"a"}], max_tokens=8)'
    );
    expect(asPython(makeRef(), { prompt: 'a "b"' })).toContain(
      'endpoint.complete("a \\"b\\"")'
    );
  });
});

describe('problemIn', () => {
  it.each([
    ['', '', ''],
    ['256', '0.7', ''],
    ['0', '', 'maxTokens'],
    ['many', '', 'maxTokens'],
    ['1', 'warm', 'temperature'],
    ['1', '-1', 'temperature']
  ])('%p tokens at %p: %p', (maxTokens, temperature, problem) => {
    expect(problemIn({ system: '', maxTokens, temperature })).toBe(problem);
  });
});
