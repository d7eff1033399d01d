namespace Sluice.Hosting.Processes;

/// <summary>The built-in ONNX worker, which is started for a template without a command.</summary>
/// <param name="Command">The program and its arguments.</param>
/// <param name="ModelRepository">The folder of its models.</param>
public sealed record BuiltInWorker(IReadOnlyList<string> Command, string ModelRepository);
