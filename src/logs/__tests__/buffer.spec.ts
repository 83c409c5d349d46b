import { LineBuffer } from '../buffer';

function fed(buffer: LineBuffer, ...pieces: string[]): string {
  pieces.forEach(piece => buffer.push(piece));
  return buffer.toString();
}

describe('LineBuffer', () => {
  it('holds no terminal sequences, wherever a piece ends', () => {
    const buffer = new LineBuffer(10);
    buffer.push('\u001b[3');
    buffer.push('1mred\u001b[0m\nab\u202ecd\r\u001b[2K100 %');
    expect(buffer.toString()).toBe('red\n100 %');
  });

  it('joins what was cut in the middle of a line', () => {
    expect(fed(new LineBuffer(10), 'a', 'b\nc', '\n')).toBe('ab\nc\n');
  });

  it('keeps the last lines and counts the others', () => {
    const buffer = new LineBuffer(2);
    expect(fed(buffer, '1\n2\n3\n', '4\n')).toBe('3\n4\n');
    expect(buffer.dropped).toBe(2);
  });

  it('stays bounded where no line ever ends', () => {
    const buffer = new LineBuffer(2, 100);
    for (let i = 0; i < 1000; i++) {
      buffer.push('x'.repeat(1000));
    }
    expect(buffer.toString().length).toBeLessThanOrEqual(100);
  });

  it('shows a progress bar’s last state', () => {
    const buffer = new LineBuffer(10);
    expect(fed(buffer, '10%\r', '50%\r')).toBe('50%');
    expect(fed(buffer, '100%\r\ndone\r\n')).toBe('100%\ndone\n');
  });

  it('is empty until something comes', () => {
    const buffer = new LineBuffer(10);
    expect(buffer.isEmpty).toBe(true);
    buffer.push('a');
    expect(buffer.isEmpty).toBe(false);
  });
});
