using Sluice.Worker.Runtime;

namespace Sluice.Worker.Tests;

/// <summary>Tests messages of ONNX Runtime 1.29 about failed runs.</summary>
public sealed class RunErrorTest
{
    private const string Broadcast =
        "[ErrorCode:RuntimeException] Non-zero status code returned while running Add node. Name:'' Status Message: "
        + "/onnxruntime_src/onnxruntime/core/providers/cpu/math/element_wise_ops.h:705 "
        + "onnxruntime::BroadcastIterator::Init(ptrdiff_t, ptrdiff_t) axis == 1 || axis == largest was false. "
        + "Attempting to broadcast an axis by a dimension other than 1. 2 by 3\n";

    [Theory]
    [InlineData(Broadcast, true)]
    [InlineData("[ErrorCode:InvalidArgument] indices element out of data bounds, idx=7", true)]
    [InlineData(
        "[ErrorCode:Fail] Non-zero status code returned while running MatMul node. Name:'' Status Message: "
        + "matmul_helper.h:144 Compute MatMul dimension mismatch",
        true)]
    [InlineData(
        "[ErrorCode:RuntimeException] Non-zero status code returned while running Conv node. Name:'' Status Message: "
        + "bad_alloc for a shape of [1,9999]",
        false)]
    [InlineData(
        "[ErrorCode:RuntimeException] Non-zero status code returned while running Conv node. Name:'' Status Message: "
        + "CUDA failure 700: shape",
        false)]
    [InlineData(
        "[ErrorCode:RuntimeException] Non-zero status code returned while running Custom node. Name:'' Status Message: "
        + "the licence has expired",
        false)]
    [InlineData("[ErrorCode:Fail] Load model failed: an unknown dimension", false)]
    public void A_message_about_the_shapes_of_a_run_is_the_callers(string message, bool callers) =>
        Assert.Equal(callers, RunError.IsOfInputs(message));

    [Fact]
    public void The_message_is_one_line_without_source_files() => Assert.Equal(
        "[ErrorCode:RuntimeException] Non-zero status code returned while running Add node. Name:'' Status Message: "
        + "Attempting to broadcast an axis by a dimension other than 1. 2 by 3", RunError.Clean(Broadcast));
}
