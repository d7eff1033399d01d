using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Sluice.Worker.Runtime;

/// <summary>
/// ONNX Runtime's Linux builds from 1.29 on contain telemetry that is on by default: it writes an id and a database into
/// the user's cache and has Microsoft's collector compiled in. It is switched off by an environment variable that the
/// native library reads with <c>getenv</c> when it initialises, so it must be set by libc (the runtime's own
/// <c>SetEnvironmentVariable</c> changes only a managed copy), before anything touches ONNX Runtime.
/// </summary>
internal static partial class TelemetryOff
{
    [ModuleInitializer]
    internal static void Set()
    {
        if (SetEnv("ORT_DISABLE_TELEMETRY", "1", 1) != 0)
            throw new InvalidOperationException("cannot set ORT_DISABLE_TELEMETRY: refusing to start with telemetry on");
    }

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetEnv(string name, string value, int overwrite);
}
