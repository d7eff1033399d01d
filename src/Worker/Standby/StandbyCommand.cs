using System.Runtime.InteropServices;
using System.Text.Json;
using Sluice.Worker.Providers;

namespace Sluice.Worker.Standby;

/// <summary>
/// Implements <c>standby</c>: starts a worker without models. The worker warms up, writes a line, and waits for one
/// line on its standard input: a JSON object of environment variables. Then it starts as a worker with these
/// variables, and the remaining cold start is the load of its models. Only the process that holds the other end of
/// the input can control the worker. The worker exits when that end is closed.
/// </summary>
internal static partial class StandbyCommand
{
    /// <summary>Name of the command.</summary>
    public const string Verb = "standby";

    /// <summary>
    /// Option for a worker whose devices are assigned by the variables. Before that, the worker must not call a driver,
    /// because CUDA enumerates devices only once.
    /// </summary>
    public const string DevicesLater = "--devices-later";

    /// <summary>The line that the worker writes when it is ready for the variables.</summary>
    public const string ReadyLine = "standing by";

    /// <summary>Warms up and waits for the environment variables.</summary>
    /// <param name="devicesLater">Whether the devices are assigned by the variables.</param>
    /// <param name="orders">The input with the variables.</param>
    /// <param name="output">The output for the line that reports readiness.</param>
    /// <returns>True: the variables are set. False: the input was closed, and the worker is not needed.</returns>
    public static async Task<bool> WaitAsync(bool devicesLater, TextReader orders, TextWriter output)
    {
        await WarmUpRun.RunAsync(ProviderSettings.Read(Environment.GetEnvironmentVariable), devicesLater);
        await output.WriteLineAsync(ReadyLine);
        if (await orders.ReadLineAsync() is not { Length: > 0 } line) return false;
        foreach (var (name, value) in Parse(line))
        {
            // .NET has its own copy of the environment. Native libraries read the copy of libc.
            Environment.SetEnvironmentVariable(name, value);
            if (SetEnvironment(name, value, 1) != 0)
                throw new InvalidOperationException($"The environment variable '{name}' cannot be set.");
        }

        return true;
    }

    private static Dictionary<string, string> Parse(string line)
    {
        try
        {
            using var json = JsonDocument.Parse(line);
            if (json.RootElement.ValueKind == JsonValueKind.Object
                && json.RootElement.EnumerateObject().All(p => p.Value.ValueKind == JsonValueKind.String))
                return json.RootElement.EnumerateObject().ToDictionary(p => p.Name, p => p.Value.GetString()!);
        }
        catch (JsonException)
        {
            // The error below does not contain the line, because it contains the pod token.
        }

        throw new InvalidOperationException(
            "The input of the standby worker is invalid; expected one line with a JSON object of strings.");
    }

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetEnvironment(string name, string value, int overwrite);
}
