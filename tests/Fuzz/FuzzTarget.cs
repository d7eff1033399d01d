using Sluice.Testing;

namespace Sluice.Fuzz;

/// <summary>A running program that gets the requests.</summary>
/// <param name="Client">A client with credentials.</param>
/// <param name="Process">Its process.</param>
/// <param name="Owner">Stops it.</param>
internal sealed record FuzzTarget(HttpClient Client, ChildProcess Process, IAsyncDisposable Owner) : IAsyncDisposable
{
    /// <summary>Starts a worker.</summary>
    /// <param name="repository">The models.</param>
    public static async Task<FuzzTarget> WorkerAsync(string repository)
    {
        var environment = new Dictionary<string, string?> { ["SLUICE_MAX_BODY_BYTES"] = "1048576" };
        var worker = await WorkerProcess.StartAsync(repository, environment);
        return new FuzzTarget(worker.Client, worker.Process, worker);
    }

    /// <summary>Starts a gateway with two workers for the models of <see cref="OpenAiTemplates"/>.</summary>
    /// <param name="repository">The models.</param>
    public static async Task<FuzzTarget> GatewayAsync(string repository)
    {
        var gateway = await GatewayProcess.StartAsync(
            """
            templates:
              - name: onnx-cpu
                concurrency: 64
            endpoints:
              - { id: chat, template: onnx-cpu, scaling: { min: 1, max: 1, idleTimeout: 600s } }
              - { id: vectors, template: onnx-cpu, scaling: { min: 1, max: 1, idleTimeout: 600s } }

            """,
            environment: new Dictionary<string, string?> { ["SLUICE_MODEL_REPOSITORY"] = repository });
        return new FuzzTarget(gateway.Client, gateway.Process, gateway);
    }

    public ValueTask DisposeAsync() => Owner.DisposeAsync();
}
