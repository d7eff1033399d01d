namespace Sluice.Hosting.Processes;

/// <summary>The built-in ONNX worker, which is started for a template without a command.</summary>
/// <param name="Command">The program and its arguments.</param>
/// <param name="ModelRepository">The folder of its models.</param>
public sealed record BuiltInWorker(IReadOnlyList<string> Command, string ModelRepository)
{
    /// <summary>
    /// Variables that it gets on this host, unless the template or the endpoint sets them
    /// (<see cref="TelemetryEnvironment"/>).
    /// </summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>Adds <see cref="Environment"/> to the variables of a worker.</summary>
    internal void Complete(IDictionary<string, string> variables)
    {
        foreach (var (name, value) in Environment) variables.TryAdd(name, value);
    }
}
