// Made from kale_serve_ext/server/openapi.json by `jlpm api`: change the schemas there, not this file.

export type JSONValue = boolean | number | string | null | JSONValue[] | { [key: string]: JSONValue };

export interface paths {
    "/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** How each backend does */
        get: operations["getHealth"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/models": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Registered models, the newest first */
        get: operations["listModels"];
        put?: never;
        /** Make a Model artifact of a file or folder */
        post: operations["registerModel"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/models/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: number;
            };
            cookie?: never;
        };
        /** One model version with its siblings, lineage and services */
        get: operations["getModel"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/transformers": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Registered transformers, the newest first */
        get: operations["listTransformers"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/files": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether a file or folder can be registered as a model */
        get: operations["getFileKind"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/kernels": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Installed kernels and their interpreters */
        get: operations["listKernels"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/runtimes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Runtimes with a verdict on one model */
        get: operations["listRuntimes"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/plan": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** What serving would apply and change, and every check's verdict */
        post: operations["makePlan"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/services": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** InferenceServices of the namespace */
        get: operations["listServices"];
        put?: never;
        /** Serve a model, or roll its service over to it */
        post: operations["createService"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/services/{engine}/{context}/{namespace}/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                engine: string;
                context: string;
                namespace: string;
                name: string;
            };
            cookie?: never;
        };
        /** One InferenceService */
        get: operations["getService"];
        put?: never;
        post?: never;
        /** Remove the service and all that was made for it */
        delete: operations["deleteService"];
        options?: never;
        head?: never;
        /** Pause, resume, scale, or serve another version */
        patch: operations["updateService"];
        trace?: never;
    };
    "/services/{engine}/{context}/{namespace}/{name}/upload": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                engine: string;
                context: string;
                namespace: string;
                name: string;
            };
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Cancel an upload, or dismiss one that failed */
        delete: operations["cancelUpload"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/services/{engine}/{context}/{namespace}/{name}/revisions": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                engine: string;
                context: string;
                namespace: string;
                name: string;
            };
            cookie?: never;
        };
        /** What the service is and was, the newest first */
        get: operations["listRevisions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/services/{engine}/{context}/{namespace}/{name}/rollback": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                engine: string;
                context: string;
                namespace: string;
                name: string;
            };
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Make the service what it was */
        post: operations["rollBack"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/services/{engine}/{context}/{namespace}/{name}/logs": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                engine: string;
                context: string;
                namespace: string;
                name: string;
            };
            cookie?: never;
        };
        /** A component's log, streamed */
        get: operations["getLogs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/services/{engine}/{context}/{namespace}/{name}/events": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                engine: string;
                context: string;
                namespace: string;
                name: string;
            };
            cookie?: never;
        };
        /** What happened to the service */
        get: operations["listEvents"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/services/{engine}/{context}/{namespace}/{name}/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                engine: string;
                context: string;
                namespace: string;
                name: string;
            };
            cookie?: never;
        };
        /** A component's metrics */
        get: operations["getMetrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/services/{engine}/{context}/{namespace}/{name}/predict": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                engine: string;
                context: string;
                namespace: string;
                name: string;
            };
            cookie?: never;
        };
        /** The tensors by name that a test request takes, if any */
        get: operations["getTensors"];
        put?: never;
        /** Send a test request */
        post: operations["predict"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/services/{engine}/{context}/{namespace}/{name}/chat": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                engine: string;
                context: string;
                namespace: string;
                name: string;
            };
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Send a conversation to a text-generation model */
        post: operations["chat"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/services/{engine}/{context}/{namespace}/{name}/verify": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                engine: string;
                context: string;
                namespace: string;
                name: string;
            };
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Compare its answers to recorded rows */
        post: operations["verify"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/environments": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Environments of the metadata engine and of model servers */
        get: operations["listEnvironments"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/environments/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Install an environment */
        post: operations["installEnvironment"];
        /** Remove an environment, or dismiss its failure */
        delete: operations["removeEnvironment"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/environments/{name}/installation": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Cancel an installation by this server */
        delete: operations["cancelInstallation"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/engines": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Where new services could go */
        get: operations["listEngines"];
        put?: never;
        /** Send new services to another engine */
        post: operations["chooseEngine"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/engines/namespaces": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Namespaces of one context's cluster */
        get: operations["listNamespaces"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** This document */
        get: operations["getOpenApi"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description What answers requests while another revision is to come. */
        Answering: {
            revision: number;
            model: components["schemas"]["ServedArtifact"] | null;
            transformer: components["schemas"]["ServedArtifact"] | null;
            protocol: string;
            components: ("predictor" | "transformer" | "explainer")[];
            task: string;
        };
        /** @description One version of a Model, Transformer or Dataset. `id` is 0 until it is in MLMD. */
        Artifact: {
            type: string;
            name: string;
            version: string;
            uri: string;
            digest: string;
            description: string;
            author: string;
            tags: {
                [key: string]: string;
            };
            format: string;
            signature: components["schemas"]["Signature"] | null;
            environment: components["schemas"]["Environment"];
            details: {
                [key: string]: components["schemas"]["JSON"];
            };
            id: number;
            created: number;
            updated: number;
        };
        /** @description State of one backend: `ready`, `starting`, `installing`, `missing` or `error`. */
        BackendHealth: {
            /** @enum {string} */
            state: "ready" | "starting" | "installing" | "missing" | "error";
            message: string;
            hint: string;
        };
        /** @description A conversation that a model is to answer, or a prompt that it is to continue. */
        ChatBody: {
            messages?: components["schemas"]["ChatMessage"][];
            /**
             * @description Instead of messages, for models that do not support chat.
             * @default null
             */
            prompt: string | null;
            /** @default null */
            max_tokens: number | null;
            /** @default null */
            temperature: number | null;
            /**
             * @description The predictor, past a transformer.
             * @default
             * @enum {string}
             */
            component: "" | "predictor";
        };
        /** @description What somebody has said in a conversation. */
        ChatMessage: {
            /** @enum {string} */
            role: "system" | "user" | "assistant";
            content: string;
        };
        /** @description One verdict of the plan. */
        Check: {
            /** @enum {string} */
            level: "ok" | "info" | "warning" | "error";
            code: string;
            message: string;
            hint: string;
            field: string;
        };
        /** @description One named input of a model, as the table had it that the model was trained on or shown with. */
        Column: {
            name: string;
            dtype: string;
            categories: components["schemas"]["JSON"][] | null;
            category_dtype: string;
            ordered: boolean;
            missing: string;
            values: string;
        };
        /** @description A condition of the InferenceService, KServe's types and reasons. */
        Condition: {
            type: string;
            /** @enum {string} */
            status: "True" | "False" | "Unknown";
            reason: string;
            message: string;
            last_transition: number;
        };
        /** @description What a model takes and gives. */
        Described: {
            inputs: components["schemas"]["TensorSpec"][];
            outputs: components["schemas"]["TensorSpec"][];
        };
        /** @description One field that applying the plan would change. `before` or `after` is None where it is absent. */
        Difference: {
            path: string;
            before: components["schemas"]["JSON"];
            after: components["schemas"]["JSON"];
        };
        /** @description Where new services shall go. */
        EngineBody: {
            /**
             * @description Empty to withdraw the choice: the engine is found then.
             * @enum {string}
             */
            kind: "" | "local" | "cluster";
            /**
             * @description The kubeconfig's context, for a cluster.
             * @default
             */
            context: string;
            /**
             * @description The context's own, where it is left out.
             * @default
             */
            namespace: string;
        };
        /** @description Which engine this is, and what it can do. */
        EngineInfo: {
            kind: string;
            context: string;
            namespace: string;
            pause: boolean;
            grpc: boolean;
            canary: boolean;
            external_url: boolean;
            revisions: boolean;
        };
        /** @description Where new services could go; no cluster was asked for it. */
        EngineList: {
            items: components["schemas"]["EngineInfo"][];
            message: string;
        };
        /** @description The Python that made an artifact, and so the one that can load it. */
        Environment: {
            python: string;
            python_version: string;
            host: string;
            packages: {
                [key: string]: string;
            };
        };
        /** @description An environment that the metadata engine or a model server runs in. */
        EnvironmentInfo: {
            name: string;
            title: string;
            purpose: string;
            python_version: string;
            /** @enum {string} */
            state: "ready" | "installing" | "missing" | "outdated" | "failed";
            message: string;
            hint: string;
            version: string;
            megabytes: number;
        };
        EnvironmentList: {
            items: components["schemas"]["EnvironmentInfo"][];
        };
        /** @description Every error that the API answers with. */
        ErrorBody: {
            message: string;
            reason: string;
            hint: string;
            field: string;
            request: string;
        };
        EventList: {
            items: components["schemas"]["LogEvent"][];
        };
        /** @description What a file or folder is. */
        FileKind: {
            format: string;
        };
        /** @description The server extension's version, its engine, and how each backend does. */
        Health: {
            version: string;
            engine: components["schemas"]["EngineInfo"];
            /** @enum {string} */
            engine_by: "configured" | "chosen" | "found";
            engine_reason: string;
            engines: components["schemas"]["EngineInfo"][];
            backends: {
                [key: string]: components["schemas"]["BackendHealth"];
            };
        };
        JSON: JSONValue;
        JsonValue: unknown;
        /** @description An installed kernel, whose interpreter may run a model. */
        Kernel: {
            name: string;
            display_name: string;
            python: string;
        };
        KernelList: {
            items: components["schemas"]["Kernel"][];
        };
        /** @description Where an artifact came from and where it went. */
        Lineage: {
            artifact: components["schemas"]["Artifact"];
            produced_by: components["schemas"]["LineageStep"][];
            consumed_by: components["schemas"]["LineageStep"][];
            related: {
                [key: string]: components["schemas"]["Artifact"];
            };
        };
        /** @description One execution that an artifact took part in. */
        LineageStep: {
            execution_id: number;
            type: string;
            name: string;
            context: string;
            state: string;
            started: number;
            inputs: number[];
            outputs: number[];
            service: components["schemas"]["ServiceRef"] | null;
        };
        /** @description Something that happened to a service, Kubernetes' event in short. */
        LogEvent: {
            time: number;
            /** @enum {string} */
            type: "Normal" | "Warning";
            reason: string;
            message: string;
            object: string;
            count: number;
        };
        /** @description A component's metrics in Prometheus' text format. */
        Metrics: {
            text: string;
        };
        /** @description One version of a model, its siblings, its lineage and the services that run it. */
        ModelDetail: {
            artifact: components["schemas"]["Artifact"];
            versions: components["schemas"]["Artifact"][];
            lineage: components["schemas"]["Lineage"];
            services: components["schemas"]["Service"][];
        };
        /** @description One page of registered models (or transformers), the newest first. */
        ModelPage: {
            items: components["schemas"]["RegisteredName"][];
            next_cursor: string;
            total: number;
        };
        /** @description Namespaces of a cluster. */
        NamespaceList: {
            items: string[];
            complete: boolean;
        };
        /** @description Changes to a service; what is left out stays as it is. */
        PatchBody: {
            /** @default null */
            paused: boolean | null;
            /**
             * @description Another version of the model, or another model.
             * @default null
             */
            model_id: number | null;
            /** @default null */
            transformer_id: number | null;
            /** @description Parts of the running service to take away. What is left out otherwise stays. */
            remove?: ("transformer" | "config")[];
            /** @default null */
            replicas: number | null;
            /**
             * @description Percent of the requests for the newest version; 100 promotes it, 0 goes back to the one before.
             * @default null
             */
            canary: number | null;
            /**
             * @description Take over fields that other programs have set.
             * @default false
             */
            force: boolean;
            /**
             * @description The estimator's method that is to answer.
             * @default null
             */
            method: string | null;
            /**
             * @description What comes of recorded rows that are answered differently: a warning, or (`require`) that the version does not become ready; `off` compares nothing.
             * @default null
             */
            verify: ("" | "warn" | "require" | "off") | null;
        };
        /** @description What would be applied, every check's verdict, and what it would change. */
        Plan: {
            name: string;
            manifest: {
                [key: string]: components["schemas"]["JSON"];
            };
            runtime: string;
            protocol: string;
            ok: boolean;
            checks: components["schemas"]["Check"][];
            differences: components["schemas"]["Difference"][];
            exists: boolean;
            runtimes: components["schemas"]["RuntimeChoice"][];
            method: string;
            methods: string[];
            verify: string;
            changes: string[];
            setup: components["schemas"]["Setup"] | null;
            transformer_now: components["schemas"]["ServedArtifact"] | null;
        };
        /** @description A test request: rows for the form (encoded for the service's protocol), or a raw body sent as it is. */
        PredictBody: {
            /**
             * @description Or the JSON text of such a list, for numbers that a browser would round.
             * @default null
             */
            rows: components["schemas"]["JsonValue"][] | string | null;
            /**
             * @description A text is sent byte for byte; it has to be JSON.
             * @default null
             */
            raw: components["schemas"]["JsonValue"];
            /**
             * @default
             * @enum {string}
             */
            component: "" | "predictor" | "transformer";
        };
        /** @description The answer to a test request, with what was sent. */
        Prediction: {
            answer: string;
            latency_ms: number;
            protocol: string;
            url: string;
            request: string;
            python: string;
            command: string;
        };
        /** @description The service that is meant, wherever new services go. */
        RefBody: {
            engine: string;
            context: string;
            namespace: string;
            name: string;
        };
        /** @description A file or folder under the server's root that becomes a Model artifact. */
        RegisterBody: {
            path: string;
            /** @default  */
            name: string;
            /** @default  */
            version: string;
            /** @default  */
            description: string;
            /** @default  */
            author: string;
            tags?: {
                [key: string]: string;
            };
            /** @default  */
            format: string;
            /**
             * @description Name of the kernel whose interpreter can load the model.
             * @default
             */
            kernel: string;
        };
        /** @description All versions of one (type, name), for lists: the newest version whole, and how many there are. */
        RegisteredName: {
            latest: components["schemas"]["Artifact"];
            versions: number;
        };
        /** @description How many processes or pods of one component there are. */
        Replicas: {
            /** @enum {string} */
            component: "predictor" | "transformer" | "explainer";
            ready: number;
            wanted: number;
        };
        /** @description The last revisions of a service, the newest first. */
        RevisionList: {
            items: components["schemas"]["ServiceRevision"][];
        };
        /** @description Which revision to go back to. */
        RollbackBody: {
            /**
             * @description Its number; the version before the newest, where it is left out.
             * @default null
             */
            revision: number | null;
            /**
             * @description Take over fields that other programs have set.
             * @default false
             */
            force: boolean;
        };
        /** @description A recorded row that was answered differently; `row` counts from 0. */
        RowDifference: {
            row: number;
            expected: components["schemas"]["JSON"];
            got: components["schemas"]["JSON"];
        };
        /** @description A runtime as the picker shows it, with the verdict on one model. */
        RuntimeChoice: {
            name: string;
            display_name: string;
            protocols: string[];
            fits: boolean;
            reason: string;
            chosen: boolean;
            python: string;
            image: string;
            assumed: boolean;
            differs: string;
            upkeep: string;
            setup: components["schemas"]["Setup"] | null;
        };
        RuntimeList: {
            items: components["schemas"]["RuntimeChoice"][];
        };
        /** @description What to plan or serve. Of a service of that name that is there, what is left out stays as it is. */
        ServeBody: {
            /**
             * @description The service to change. Without it, a service of that name is changed or made where new ones go.
             * @default null
             */
            ref: components["schemas"]["RefBody"] | null;
            /** @default null */
            model_id: number | null;
            /** @default null */
            transformer_id: number | null;
            /** @description Parts of the running service to take away. What is left out otherwise stays. */
            remove?: ("transformer" | "config")[];
            /** @default  */
            name: string;
            /** @default  */
            runtime: string;
            /**
             * @default
             * @enum {string}
             */
            protocol: "" | "v1" | "v2";
            config?: {
                [key: string]: components["schemas"]["JsonValue"];
            };
            /**
             * @description Change the service of that name, whoever made it.
             * @default false
             */
            update: boolean;
            /**
             * @description Take over fields that other programs have set.
             * @default false
             */
            force: boolean;
            /**
             * @description The estimator's method that answers; `predict` when empty.
             * @default
             */
            method: string;
            /**
             * @description What comes of recorded rows that are answered differently: a warning, or (`require`) that the version does not become ready; `off` compares nothing.
             * @default
             * @enum {string}
             */
            verify: "" | "warn" | "require" | "off";
        };
        /** @description The model or transformer inside a service; `id` is 0 where it cannot be told. */
        ServedArtifact: {
            id: number;
            name: string;
            version: string;
        };
        /** @description One InferenceService, told truthfully. */
        Service: {
            ref: components["schemas"]["ServiceRef"];
            /** @enum {string} */
            phase: "Uploading" | "Pending" | "Loading" | "Ready" | "Idle" | "Failed" | "Degraded" | "Paused" | "Stopped" | "Terminating";
            reason: string;
            log_tail: string;
            model: components["schemas"]["ServedArtifact"] | null;
            transformer: components["schemas"]["ServedArtifact"] | null;
            answering: components["schemas"]["Answering"] | null;
            runtime: string;
            protocol: string;
            method: string;
            task: string;
            verify: string;
            url: string;
            external_url: string;
            grpc_url: string;
            replicas_ready: number;
            replicas_wanted: number;
            replicas: components["schemas"]["Replicas"][];
            restarts: number;
            revision: number;
            serving_revision: number;
            components: ("predictor" | "transformer" | "explainer")[];
            steps: components["schemas"]["Step"][];
            conditions: components["schemas"]["Condition"][];
            created: number;
            updated: number;
            ours: boolean;
            mode: string;
            shares: components["schemas"]["Share"][];
            can_pause: boolean;
            can_split: boolean;
            can_roll_back: boolean;
            manifest: {
                [key: string]: components["schemas"]["JSON"];
            };
            upload: components["schemas"]["Upload"] | null;
        };
        ServiceList: {
            items: components["schemas"]["Service"][];
        };
        /** @description Full name of an InferenceService. */
        ServiceRef: {
            engine: string;
            context: string;
            namespace: string;
            name: string;
        };
        /** @description One of the descriptions that a service has or had. */
        ServiceRevision: {
            number: number;
            created: number;
            by: string;
            model: components["schemas"]["ServedArtifact"] | null;
            transformer: components["schemas"]["ServedArtifact"] | null;
            changes: string[];
            back_to: number;
            newest: boolean;
            answers: boolean;
        };
        /** @description What has to be installed on this machine before a runtime can serve here. */
        Setup: {
            environment: string;
            title: string;
            megabytes: number;
            /** @enum {string} */
            state: "missing" | "outdated" | "installing" | "failed";
            message: string;
            hint: string;
            python: string;
            python_version: string;
            command: string;
            cancellable: boolean;
        };
        /** @description What part of the requests one revision gets; the newest is first. */
        Share: {
            revision: string;
            percent: number;
            newest: boolean;
            model: components["schemas"]["ServedArtifact"] | null;
            assumed: boolean;
        };
        /** @description Shapes and dtypes of a model's input and output: of a table's columns, or of named tensors. */
        Signature: {
            input_size: (string | number)[];
            output_size: (string | number)[];
            input_dtype: string;
            output_dtype: string;
            columns: components["schemas"]["Column"][];
            sample: components["schemas"]["JSON"];
            input_kind: string;
            input_missing: string;
            inputs: components["schemas"]["TensorSpec"][];
            outputs: components["schemas"]["TensorSpec"][];
        };
        /** @description One step on a component's way to ready, for the progress list. */
        Step: {
            /** @enum {string} */
            component: "predictor" | "transformer" | "explainer";
            title: string;
            state: string;
            message: string;
        };
        /** @description One named tensor that a model takes or gives. */
        TensorSpec: {
            name: string;
            dtype: string;
            shape: (string | number)[];
        };
        /** @description Files on their way to where a service will read them. */
        Upload: {
            artifact: string;
            done: number;
            total: number;
            error: string;
        };
        /** @description Whether a service answers rows as its model did in the notebook; `bool` and `ok` say so in a word. */
        Verification: {
            component: ("predictor" | "transformer" | "explainer") | null;
            rows: number;
            different: number;
            differences: components["schemas"]["RowDifference"][];
            ok: boolean;
            skipped: string;
            error: string;
            recorded: boolean;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    getHealth: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description How each backend does */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Health"];
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    listModels: {
        parameters: {
            query?: {
                /** @description Part of a name or description, in any case. */
                search?: string;
                /** @description An artifact type, such as `kale.Model` or `system.Model`. */
                type?: string;
                /** @description A format's name, such as `sklearn`. */
                format?: string;
                /** @description A tag as `key:value`, or `key` for any value. */
                tag?: string;
                /** @description Exactly this registered name. */
                name?: string;
                /** @description The page before's `next_cursor`; empty for the first page. */
                cursor?: string;
                /** @description Names on one page, at most. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Registered models, the newest first */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ModelPage"];
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    registerModel: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RegisterBody"];
            };
        };
        responses: {
            /** @description Make a Model artifact of a file or folder */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ModelDetail"];
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description The name is taken, or by other content. */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description The request is over the configured limit. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No room is left on the disk. */
            507: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    getModel: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description One model version with its siblings, lineage and services */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ModelDetail"];
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    listTransformers: {
        parameters: {
            query?: {
                /** @description Part of a name or description, in any case. */
                search?: string;
                /** @description An artifact type, such as `kale.Model` or `system.Model`. */
                type?: string;
                /** @description A format's name, such as `sklearn`. */
                format?: string;
                /** @description A tag as `key:value`, or `key` for any value. */
                tag?: string;
                /** @description Exactly this registered name. */
                name?: string;
                /** @description The page before's `next_cursor`; empty for the first page. */
                cursor?: string;
                /** @description Names on one page, at most. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Registered transformers, the newest first */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ModelPage"];
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    getFileKind: {
        parameters: {
            query?: {
                /** @description Under the server's root, as the file browser shows it. */
                path?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Whether a file or folder can be registered as a model */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FileKind"];
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    listKernels: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Installed kernels and their interpreters */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["KernelList"];
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    listRuntimes: {
        parameters: {
            query?: {
                model_id?: number;
                protocol?: "" | "v1" | "v2";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Runtimes with a verdict on one model */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RuntimeList"];
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    makePlan: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ServeBody"];
            };
        };
        responses: {
            /** @description What serving would apply and change, and every check's verdict */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Plan"];
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description The request is over the configured limit. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    listServices: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description InferenceServices of the namespace */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ServiceList"];
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    createService: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ServeBody"];
            };
        };
        responses: {
            /** @description Serve a model, or roll its service over to it */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Service"];
                };
            };
            /** @description The plan has passed, and files are being uploaded; `upload` of the service tells how far. */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Service"];
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description The name is taken, or by other content. */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description The request is over the configured limit. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description The plan's checks say that this cannot run. */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No room is left on the disk. */
            507: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    getService: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                engine: string;
                context: string;
                namespace: string;
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description One InferenceService */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Service"];
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    deleteService: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                engine: string;
                context: string;
                namespace: string;
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description The name is taken, or by other content. */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    updateService: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                engine: string;
                context: string;
                namespace: string;
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PatchBody"];
            };
        };
        responses: {
            /** @description Pause, resume, scale, or serve another version */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Service"];
                };
            };
            /** @description The plan has passed, and files are being uploaded; `upload` of the service tells how far. */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Service"];
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description The name is taken, or by other content. */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description The request is over the configured limit. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description The plan's checks say that this cannot run. */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No room is left on the disk. */
            507: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    cancelUpload: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                engine: string;
                context: string;
                namespace: string;
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    listRevisions: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                engine: string;
                context: string;
                namespace: string;
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What the service is and was, the newest first */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RevisionList"];
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description The name is taken, or by other content. */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    rollBack: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                engine: string;
                context: string;
                namespace: string;
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RollbackBody"];
            };
        };
        responses: {
            /** @description Make the service what it was */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Service"];
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description The name is taken, or by other content. */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description The request is over the configured limit. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description The plan's checks say that this cannot run. */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No room is left on the disk. */
            507: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    getLogs: {
        parameters: {
            query?: {
                component?: "predictor" | "transformer";
                /** @description Lines from the end. */
                tail?: number;
                /** @description The run before the last restart. */
                previous?: boolean;
                /** @description Go on as the process writes, until the client hangs up. */
                follow?: boolean;
            };
            header?: never;
            path: {
                engine: string;
                context: string;
                namespace: string;
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A component's log, streamed */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    listEvents: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                engine: string;
                context: string;
                namespace: string;
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What happened to the service */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EventList"];
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    getMetrics: {
        parameters: {
            query?: {
                component?: "predictor" | "transformer";
            };
            header?: never;
            path: {
                engine: string;
                context: string;
                namespace: string;
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A component's metrics */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Metrics"];
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description The model was reached and answered with an error. */
            502: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    getTensors: {
        parameters: {
            query?: {
                /** @description The service's entry when empty. */
                component?: "" | "predictor" | "transformer";
            };
            header?: never;
            path: {
                engine: string;
                context: string;
                namespace: string;
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The tensors by name that a test request takes, if any */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Described"];
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    predict: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                engine: string;
                context: string;
                namespace: string;
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PredictBody"];
            };
        };
        responses: {
            /** @description Send a test request */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Prediction"];
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description The request is over the configured limit. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description The model was reached and answered with an error. */
            502: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    chat: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                engine: string;
                context: string;
                namespace: string;
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ChatBody"];
            };
        };
        responses: {
            /** @description Send a conversation to a text-generation model */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": string;
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description The request is over the configured limit. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description The model was reached and answered with an error. */
            502: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    verify: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                engine: string;
                context: string;
                namespace: string;
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Compare its answers to recorded rows */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Verification"];
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    listEnvironments: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Environments of the metadata engine and of model servers */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EnvironmentList"];
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    installEnvironment: {
        parameters: {
            query?: {
                /** @description The interpreter's path; the server's own when empty. Other environments pass it over. */
                python?: string;
            };
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Install an environment */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EnvironmentInfo"];
                };
            };
            /** @description It is being installed; the list and the events tell how far. */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EnvironmentInfo"];
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    removeEnvironment: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description The name is taken, or by other content. */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    cancelInstallation: {
        parameters: {
            query?: {
                /** @description The interpreter's path; the server's own when empty. Other environments pass it over. */
                python?: string;
            };
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    listEngines: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Where new services could go */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EngineList"];
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    chooseEngine: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["EngineBody"];
            };
        };
        responses: {
            /** @description Send new services to another engine */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EngineInfo"];
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description The request is over the configured limit. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    listNamespaces: {
        parameters: {
            query?: {
                /** @description The kubeconfig's context. */
                context?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Namespaces of one context's cluster */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NamespaceList"];
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description No such thing. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend cannot be reached, or the service is not ready. */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description A backend took longer than allowed. */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    getOpenApi: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description This document */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": Record<string, never>;
                };
            };
            /** @description What was sent cannot be used as it is. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Not signed in, or a right or a quota is missing. */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
}
