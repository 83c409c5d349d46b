import type { JSONValue } from '../api/types';
import { isObject } from '../api/types';

/**
 * What is shown in place of a secret.
 */
export const MASK = '••••••••';

const TELLING =
  /passw|passphrase|pwd|secret|token|credential|(api|access|private|account|encryption)_?key|(^|_)(pw|pass|auth|dsn)$/i;
const URL_WITH_PASSWORD = /^[a-z][a-z0-9+.-]*:\/\/[^/\s@]*:[^/\s@]+@/i;
const VALUE_OF_VARIABLE = /\.env\[(.+)\]\.value$/;

/**
 * Whether the value of an environment variable is a secret, as far as its name and its form tell.
 */
export function isSecret(name: string, value: JSONValue): boolean {
  return (
    typeof value === 'string' &&
    value !== '' &&
    (TELLING.test(name) || URL_WITH_PASSWORD.test(value))
  );
}

/**
 * Whether a field of a manifest, such as `spec.predictor.model.env[TOKEN].value`, is a secret.
 */
export function isSecretField(path: string, value: JSONValue): boolean {
  const name = VALUE_OF_VARIABLE.exec(path)?.[1];
  return name !== undefined && isSecret(name, value);
}

/**
 * A manifest, or a part of one, without the secrets in its environment variables.
 */
export function masked(value: JSONValue): JSONValue {
  if (Array.isArray(value)) {
    return value.map(masked);
  }
  if (!isObject(value)) {
    return value;
  }
  const { name } = value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      key === 'value' && typeof name === 'string' && isSecret(name, item)
        ? MASK
        : masked(item)
    ])
  );
}
