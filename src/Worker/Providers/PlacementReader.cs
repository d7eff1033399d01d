using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Providers;

/// <summary>
/// Reads from a session which provider got which node. ONNX Runtime records it while it partitions the graph when
/// <c>session.record_ep_graph_assignment_info</c> is 1 (from 1.24 on): no run is needed, and nodes that TensorRT
/// fuses into one engine are still told apart; but see <see cref="PlacementProfile"/>. The managed API has the functions in its table and no methods
/// for them, so they are called from here.
/// </summary>
internal static unsafe class PlacementReader
{
    private const string Record = "session.record_ep_graph_assignment_info";

    private static readonly Lazy<OrtApi> Api = new(() =>
        (OrtApi)(typeof(InferenceSession).Assembly.GetType("Microsoft.ML.OnnxRuntime.NativeMethods")!
            .GetField("api_", BindingFlags.Static | BindingFlags.NonPublic)!.GetValue(null)!));

    /// <summary>To be called before the session is made.</summary>
    public static void Ask(SessionOptions options) => options.AddSessionConfigEntry(Record, "1");

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
            Check(((delegate* unmanaged[Cdecl]<nint, nint**, nuint*, nint>)api.EpAssignedSubgraph_GetNodes)(subgraphs[s], &nodes, &nodeCount));
            for (nuint n = 0; n < nodeCount; n++)
                placed.Add(new PlacedNode(provider, Text(api.EpAssignedNode_GetName, nodes[n]),
                    Text(api.EpAssignedNode_GetOperatorType, nodes[n])));
        }

        GC.KeepAlive(session);
        return new ModelPlacement(placed);
    }

    /// <summary>This worker's name of a provider from ONNX Runtime's.</summary>
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
        var message = Marshal.PtrToStringUTF8(((delegate* unmanaged[Cdecl]<nint, nint>)Api.Value.GetErrorMessage)(status));
        ((delegate* unmanaged[Cdecl]<nint, void>)Api.Value.ReleaseStatus)(status);
        throw new InvalidOperationException($"ONNX Runtime tells no placement: {message}");
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_nativeHandle")]
    private static extern ref nint HandleOf(InferenceSession session);

    private static nint Handle(InferenceSession session) => HandleOf(session);
}
