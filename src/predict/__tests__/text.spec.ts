import { laidOut, member, readJSON, shown, writeJSON } from '../text';

describe('JSON as text', () => {
  it.each([
    '12345678901234567890',
    '1e400',
    '-0.0',
    '1.0',
    'NaN',
    '-Infinity',
    '"\\u00e9 \\n \\ud800"',
    '{"b": 1, "a": 2, "b": 3}',
    '[]',
    '{}',
    '[[], {}, null, true, false]',
    '{"deep": [{"er": [1.10, "x"]}]}'
  ])('keeps %s', text => {
    expect(writeJSON(readJSON(text))).toBe(text);
  });

  it.each([
    '',
    '[1',
    '[1,]',
    '{"a" 1}',
    '{a: 1}',
    '{"a": 1,}',
    '01',
    '1.',
    '.5',
    '+1',
    '"line\n"',
    '"\\x"',
    "'a'",
    'nulls',
    '[1] 2',
    '1a',
    ']'
  ])('refuses %j', text => {
    expect(() => readJSON(text)).toThrow(SyntaxError);
  });

  it('says where it is wrong', () => {
    expect(() => readJSON('[1, oops]')).toThrow('"oops]" at character 5');
  });

  it('is laid out where it is long, and means the same', () => {
    const value = {
      names: ['a'.repeat(50), 'b'.repeat(50)],
      rows: Array.from({ length: 30 }, (_, index) => [index, index / 2]),
      empty: {}
    };
    const text = laidOut(JSON.stringify(value));
    expect(JSON.parse(text)).toEqual(value);
    expect(Math.max(...text.split('\n').map(line => line.length))).toBeLessThan(
      81
    );
    expect(text).toContain('\n    [1, 0.5],\n');
  });

  it('leaves what is not JSON', () => {
    expect(laidOut('<html>')).toBe('<html>');
  });

  it('takes the last of several members, as parsers do', () => {
    const value = readJSON('{"a": 1, "\\u0061": 2}');
    expect(shown(member(value, 'a')!)).toBe('2');
    expect(member(value, 'b')).toBeUndefined();
    expect(member(readJSON('[1]'), 'a')).toBeUndefined();
  });

  it('shows a text without its quotes', () => {
    expect(shown(readJSON('"é\\n"'))).toBe('é\n');
    expect(shown(readJSON('[1, "a"]'))).toBe('[1, "a"]');
  });
});
