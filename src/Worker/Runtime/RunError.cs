using System.Text.RegularExpressions;
using Sluice.Worker.Providers;

namespace Sluice.Worker.Runtime;

/// <summary>Classifies ONNX Runtime's message about a failed run. Pure.</summary>
public static partial class RunError
{
    /// <summary>
    /// Returns whether the inputs caused the error: ONNX Runtime rejected an argument, or the message of a node is
    /// about shapes or indices. Lack of memory and device errors are never caused by the inputs.
    /// </summary>
    public static bool IsOfInputs(string message)
    {
        if (message.StartsWith("[ErrorCode:InvalidArgument]", StringComparison.Ordinal)) return true;
        return message.Contains("returned while running", StringComparison.Ordinal)
            && Shapes().IsMatch(message)
            && !Memory().IsMatch(message)
            && !ProviderError.IsOfDevice(message);
    }

    /// <summary>
    /// Returns the message on one line, without source files, functions and conditions of ONNX Runtime's own code.
    /// </summary>
    public static string Clean(string message) => Spaces().Replace(Source().Replace(message, ""), " ").Trim();

    /// <summary>
    /// Matches, for example, "/onnxruntime_src/.../element_wise_ops.h:705 onnxruntime::F(int) axis == 1 was false. "
    /// and "matmul_helper.h:144 ".
    /// </summary>
    [GeneratedRegex(@"[\w./+-]+\.(?:h|hpp|cc|cpp|cu|cuh):\d+ (?:[^\n]*? was false\. )?")]
    private static partial Regex Source();

    [GeneratedRegex(
        @"shape|dimension|\bdims?\b|broadcast|\bax[ei]s\b|\brank\b|mismatch|out of (?:data )?bounds|out of range"
        + @"|\bindex|indices|cannot be reshaped|split",
        RegexOptions.IgnoreCase)]
    private static partial Regex Shapes();

    [GeneratedRegex(@"bad_alloc|allocat|out of memory", RegexOptions.IgnoreCase)]
    private static partial Regex Memory();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();
}
