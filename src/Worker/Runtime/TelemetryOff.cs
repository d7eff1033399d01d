using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Sluice.Worker.Runtime;

/// <summary>
/// Switches off ONNX Runtime's telemetry, which its Linux builds contain since version 1.29. It is on by default,
/// writes an id and a database into the user's cache, and contains Microsoft's collector. The native library reads an
/// environment variable with <c>getenv</c> when it initializes. The variable must be set with libc before any use of
/// ONNX Runtime, because .NET's <c>SetEnvironmentVariable</c> changes only a managed copy.
/// </summary>
internal static partial class TelemetryOff
{
    [ModuleInitializer]
    internal static void Set()
    {
        if (SetEnv("ORT_DISABLE_TELEMETRY", "1", 1) != 0)
            throw new InvalidOperationException(
                "cannot set ORT_DISABLE_TELEMETRY; the worker does not start with telemetry on");
    }

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetEnv(string name, string value, int overwrite);
}
