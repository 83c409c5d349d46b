// Published as ES modules, which Jest cannot load as they are.
const esModules = [
  '@codemirror',
  '@jupyter',
  '@jupyterlab',
  '@lumino',
  '@marijn',
  '@microsoft',
  'color',
  'exenv-es6',
  'lib0',
  'nanoid',
  'vscode-ws-jsonrpc',
  'y-protocols',
  'y-websocket',
  'yjs'
];

module.exports = {
  testEnvironment: '@jupyterlab/testing/lib/jest-env.js',
  resolver: '@jupyterlab/testing/lib/jest-resolver.js',
  setupFiles: ['<rootDir>/src/__tests__/browser.ts'],
  setupFilesAfterEnv: ['<rootDir>/src/__tests__/setup.ts'],
  testMatch: ['<rootDir>/src/**/__tests__/*.spec.{ts,tsx}'],
  modulePathIgnorePatterns: [
    '<rootDir>/.venv',
    '<rootDir>/kale_serve_ext',
    '<rootDir>/ui-tests',
    '<rootDir>/lib',
    '<rootDir>/build',
    '<rootDir>/dist'
  ],
  moduleNameMapper: {
    '\\.css$': 'identity-obj-proxy',
    // The entry for Node: Jest takes that for browsers, which is an ES module.
    '^yaml$': '<rootDir>/node_modules/yaml/dist/index.js'
  },
  transform: {
    '\\.svg$': '@jupyterlab/testing/lib/jest-raw-loader.js',
    '^.+\\.tsx?$': [
      'ts-jest',
      {
        tsconfig: {
          module: 'commonjs',
          moduleResolution: 'node',
          target: 'ES2020',
          jsx: 'react',
          esModuleInterop: true,
          isolatedModules: true
        }
      }
    ],
    '^.+\\.jsx?$': 'babel-jest'
  },
  // Far above what a test takes: a busy machine must not decide.
  testTimeout: 60000,
  transformIgnorePatterns: [`/node_modules/(?!(${esModules.join('|')})/)`],
  collectCoverageFrom: ['src/**/*.{ts,tsx}', '!src/api/schema.ts']
};
