import type { JSONValue } from '../../api/types';
import { isSecret, isSecretField, MASK, masked } from '../secrets';

describe('masked', () => {
  it('hides the values of variables whose name or form tells a secret', () => {
    const env: JSONValue[] = [
      { name: 'DB_PASSWORD', value: 'hunter2' },
      { name: 'HF_TOKEN', value: 'hf_x' },
      { name: 'AWS_SECRET_ACCESS_KEY', value: 'k' },
      { name: 'DATABASE', value: 'postgres://me:hunter2@db/x' },
      { name: 'THREADS', value: '4' },
      { name: 'FROM_SECRET', valueFrom: { secretKeyRef: { name: 'a' } } }
    ];
    const manifest = { spec: { predictor: { model: { env, args: ['--x'] } } } };
    const before = JSON.stringify(manifest);
    const shown = JSON.stringify(masked(manifest));
    expect(shown).not.toMatch(/hunter2|hf_x|"k"/);
    expect(shown.split(MASK)).toHaveLength(5);
    expect(shown).toContain('"value":"4"');
    expect(shown).toContain('secretKeyRef');
    expect(JSON.stringify(manifest)).toBe(before);
  });

  it.each(['PASSWORD', 'API_KEY', 'apikey', 'CLIENT_SECRET', 'DB_PW'])(
    'takes %s for a secret',
    name => {
      expect(isSecret(name, 'x')).toBe(true);
    }
  );

  it.each(['THREADS', 'STORAGE_URI', 'KEYS', 'COMPASS', 'PROTOCOL'])(
    'shows %s',
    name => {
      expect(isSecret(name, 'file:///models/iris')).toBe(false);
    }
  );

  it('knows the field of a difference', () => {
    const path = 'spec.predictor.model.env[HF_TOKEN].value';
    expect(isSecretField(path, 'x')).toBe(true);
    expect(isSecretField(path, null)).toBe(false);
    expect(isSecretField('spec.predictor.model.args', 'x')).toBe(false);
  });
});
