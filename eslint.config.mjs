import js from '@eslint/js';
import jupyter from '@jupyter/eslint-plugin';
import prettier from 'eslint-config-prettier';
import reactHooks from 'eslint-plugin-react-hooks';
import globals from 'globals';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  {
    ignores: [
      'lib/',
      'build/',
      'dist/',
      'docs/',
      'kale_serve_ext/',
      'ui-tests/',
      'node_modules/',
      'src/api/schema.ts'
    ]
  },
  js.configs.recommended,
  {
    files: ['src/**/*.{ts,tsx}'],
    extends: [tseslint.configs.recommendedTypeChecked],
    plugins: { 'react-hooks': reactHooks },
    languageOptions: {
      parserOptions: {
        project: './tsconfig.test.json',
        tsconfigRootDir: import.meta.dirname
      }
    },
    rules: {
      ...reactHooks.configs.recommended.rules,
      '@typescript-eslint/naming-convention': [
        'error',
        {
          selector: 'interface',
          format: ['PascalCase'],
          custom: { regex: '^I[A-Z]', match: true }
        }
      ],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-namespace': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { args: 'none' }],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      // Lumino's signals take a method and its object apart.
      '@typescript-eslint/unbound-method': 'off',
      curly: ['error', 'all'],
      eqeqeq: 'error',
      'no-console': 'error',
      'no-restricted-syntax': [
        'error',
        {
          selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']",
          message: 'Strings from the server are shown as text, never as HTML.'
        }
      ]
    }
  },
  {
    files: ['*.{js,mjs}', 'scripts/*.mjs'],
    languageOptions: { globals: globals.node }
  },
  { plugins: { jupyter } },
  ...jupyter.configs.recommended,
  {
    files: ['src/**/__tests__/**'],
    rules: {
      // A test ends, and all that it made with it; its words are nobody's language.
      'jupyter/require-disposable-ownership': 'off',
      'jupyter/no-untranslated-string': 'off'
    }
  },
  {
    files: ['src/index.ts'],
    rules: {
      'jupyter/prefer-lazy-imports': [
        'warn',
        {
          // Needed at once: commands are there from the start. What they open loads its code itself.
          ignoreImports: ['./commands', './fileBrowser', './kaleServe']
        }
      ]
    }
  },
  prettier
);
