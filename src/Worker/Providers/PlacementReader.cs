using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Providers;

/// <summary>
/// Reads from a session which provider runs which node. ONNX Runtime records this while it partitions the graph if
/// <c>session.record_ep_graph_assignment_info</c> is 1 (since 1.24). No run is needed, and the record lists nodes
/// that TensorRT fuses into one engine separately. For its limits, see <see cref="PlacementProfile"/>. The managed
/// API has the functions in its table but no methods for them, so this class calls them directly.
/// </summary>
internal static unsafe class PlacementReader
{
    private const string Record = "session.record_ep_graph_assignment_info";

    private static readonly Lazy<OrtApi> Api = new(() =>
        (OrtApi)(typeof(InferenceSession).Assembly.GetType("Microsoft.ML.OnnxRuntime.NativeMethods")!
            .GetField("api_", BindingFlags.Static | BindingFlags.NonPublic)!.GetValue(null)!));

    /// <summary>Enables the record. Call this before the session is created.</summary>
    public static void EnableRecord(SessionOptions options) => options.AddSessionConfigEntry(Record, "1");

    public static ModelPlacement Read(InferenceSession session)
    {
        var api = Api.Value;
        nint* subgraphs;
        nuint count;
        var info = (delegate* unmanaged[Cdecl]<nint, nint**, nuint*, nint>)api.Session_GetEpGraphAssignmentInfo;
        Check(info(Handle(session), &subgraphs, &count));

        var placed = new List<PlacedNode>();
        for (nuint s = 0; s < count; s++)
        {
            var provider = ShortName(Text(api.EpAssignedSubgraph_GetEpName, subgraphs[s]));
            nint* nodes;
            nuint nodeCount;
            var getNodes = (delegate* unmanaged[Cdecl]<nint, nint**, nuint*, nint>)api.EpAssignedSubgraph_GetNodes;
            Check(getNodes(subgraphs[s], &nodes, &nodeCount));
            for (nuint n = 0; n < nodeCount; n++)
                placed.Add(new PlacedNode(provider, Text(api.EpAssignedNode_GetName, nodes[n]),
                    Text(api.EpAssignedNode_GetOperatorType, nodes[n])));
        }

        GC.KeepAlive(session);
        return new ModelPlacement(placed);
    }

    /// <summary>Returns this worker's name of a provider for ONNX Runtime's name.</summary>
    public static string ShortName(string provider) => provider switch
    {
        "TensorrtExecutionProvider" => "tensorrt",
        "CUDAExecutionProvider" => "cuda",
        "WebGpuExecutionProvider" => "webgpu",
        "CPUExecutionProvider" => "cpu",
        _ => provider,
    };

    private static string Text(nint function, nint of)
    {
        nint text;
        Check(((delegate* unmanaged[Cdecl]<nint, nint*, nint>)function)(of, &text));
        return Marshal.PtrToStringUTF8(text) ?? "";
    }

    private static void Check(nint status)
    {
        if (status == 0) return;
        var getMessage = (delegate* unmanaged[Cdecl]<nint, nint>)Api.Value.GetErrorMessage;
        var message = Marshal.PtrToStringUTF8(getMessage(status));
        ((delegate* unmanaged[Cdecl]<nint, void>)Api.Value.ReleaseStatus)(status);
        throw new InvalidOperationException($"ONNX Runtime did not return the node placement: {message}");
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_nativeHandle")]
    private static extern ref nint HandleOf(InferenceSession session);

    private static nint Handle(InferenceSession session) => HandleOf(session);
}
