using System.Text.Json.Serialization;
using Sluice.Core.Gpus;

namespace Sluice.Core.Endpoints;

/// <summary>How a worker of a template speaks HTTP.</summary>
public enum WorkerProtocol
{
    /// <summary>HTTP/2 with prior knowledge over cleartext: many requests share few writes.</summary>
    H2c,

    /// <summary>HTTP/1.1, for servers that know nothing else, and for WebSockets.</summary>
    Http1,
}

/// <summary>
/// A blueprint of an environment: what is started, and how it is spoken to. A template without a
/// <see cref="Command"/> and an <see cref="Image"/> is the built-in ONNX worker.
/// </summary>
public sealed record Template
{
    /// <summary>Name, by the rule of endpoint ids.</summary>
    public required string Name { get; init; }

    /// <summary>Program and arguments; empty: the built-in ONNX worker. <c>{port}</c> in an argument becomes the
    /// port the worker must listen on (also in its environment as <c>PORT</c> and <c>SLUICE_PORT</c>).</summary>
    public IReadOnlyList<string> Command { get; init; } = [];

    /// <summary>Arguments after those of the command, or instead of an image's own.</summary>
    public IReadOnlyList<string> Args { get; init; } = [];

    /// <summary>It is the built-in ONNX worker: nothing of it is somebody else's program.</summary>
    [JsonIgnore]
    public bool IsBuiltIn => Command.Count == 0 && Image.Length == 0;

    /// <summary>Container image, <c>[registry/]repository[:tag][@digest]</c>; empty: the built-in worker's. Needs the Docker host.</summary>
    public string Image { get; init; } = "";

    /// <summary>How its pods are confined where they are containers.</summary>
    public ContainerNeeds Container { get; init; } = new();

    /// <summary>Environment of the worker, beside the few variables that every pod gets.</summary>
    public IReadOnlyDictionary<string, string> Env { get; init; } = new Dictionary<string, string>();

    /// <summary>Requests that one worker takes at the same time (its slots).</summary>
    public int Concurrency { get; init; } = 8;

    public WorkerProtocol Protocol { get; init; } = WorkerProtocol.H2c;

    /// <summary>Path that answers 200 once the worker can serve.</summary>
    public string ReadyPath { get; init; } = "/v2/health/ready";

    /// <summary>Path to which a job's input is posted.</summary>
    public string HandlerPath { get; init; } = "/run";

    /// <summary>How long a worker may take from its start to its first 200 at <see cref="ReadyPath"/>.</summary>
    public TimeSpan StartTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>How long after SIGTERM a drained worker may take to exit before it is killed.</summary>
    public TimeSpan StopGrace { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>GPUs that a worker needs; null: none of Sluice's, it is not placed.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public GpuNeeds? Gpu { get; init; }
}
