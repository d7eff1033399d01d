using System.Text.RegularExpressions;
using Sluice.Worker.Providers;

namespace Sluice.Worker.Runtime;

/// <summary>Reads ONNX Runtime's message about a run that failed. Pure.</summary>
public static partial class RunError
{
    /// <summary>
    /// The inputs are the cause: an argument that ONNX Runtime refuses, or a node whose message is about shapes or indices. A lack of memory and an
    /// error of a device are never the caller's.
    /// </summary>
    public static bool IsOfInputs(string message) => message.StartsWith("[ErrorCode:InvalidArgument]", StringComparison.Ordinal)
        || (message.Contains("returned while running", StringComparison.Ordinal) && Shapes().IsMatch(message) && !Memory().IsMatch(message)
            && !ProviderError.IsOfDevice(message));

    /// <summary>The message on one line, without source files, functions and conditions of ONNX Runtime's own code.</summary>
    public static string Clean(string message) => Spaces().Replace(Source().Replace(message, ""), " ").Trim();

    /// <summary>"/onnxruntime_src/.../element_wise_ops.h:705 onnxruntime::F(int) axis == 1 was false. ", "matmul_helper.h:144 ".</summary>
    [GeneratedRegex(@"[\w./+-]+\.(?:h|hpp|cc|cpp|cu|cuh):\d+ (?:[^\n]*? was false\. )?")]
    private static partial Regex Source();

    [GeneratedRegex(@"shape|dimension|\bdims?\b|broadcast|\bax[ei]s\b|\brank\b|mismatch|out of (?:data )?bounds|out of range|\bindex|indices|cannot be reshaped|split",
        RegexOptions.IgnoreCase)]
    private static partial Regex Shapes();

    [GeneratedRegex(@"bad_alloc|allocat|out of memory", RegexOptions.IgnoreCase)]
    private static partial Regex Memory();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();
}
