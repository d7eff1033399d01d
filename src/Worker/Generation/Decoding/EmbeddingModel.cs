using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Generation.Settings;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Generation.Decoding;

/// <summary>
/// The model beside a decoder that converts tokens to vectors, as onnx-community publishes models for images and text.
/// </summary>
internal sealed class EmbeddingModel : IDisposable
{
    private readonly ModelSession session;
    private readonly string input;

    private EmbeddingModel(ModelSession session, string input)
    {
        this.session = session;
        this.input = input;
    }

    /// <summary>Names of the outputs.</summary>
    public IReadOnlyList<string> Outputs => [.. session.Outputs.Select(o => o.Key)];

    /// <summary>Opens the embedding model of a decoder that has no input for tokens.</summary>
    /// <param name="decoder">The decoder.</param>
    /// <param name="names">Names of its inputs.</param>
    /// <returns>Null: the decoder needs none, or there is no file.</returns>
    /// <exception cref="NotSupportedException">The model has other inputs than the tokens.</exception>
    public static EmbeddingModel? Open(OnnxModel decoder, DecoderNames names)
    {
        if (decoder.Input(DecoderNames.Embeddings) is null || decoder.Input(names.Ids) is not null
            || ModelFolder.FindEmbeddings(decoder.Path) is not { } path) return null;
        var session = decoder.Session.OpenBeside(path);
        if (session.Inputs is [var (input, _)]) return new EmbeddingModel(session, input);
        var inputs = string.Join(", ", session.Inputs.Select(i => $"'{i.Key}'"));
        session.Dispose();
        throw new NotSupportedException(
            $"{Path.GetFileName(path)} has the inputs {inputs}; expected only the tokens");
    }

    /// <summary>Converts tokens.</summary>
    /// <param name="tokens">The tokens, with the shape [batch, tokens].</param>
    /// <param name="outputs">Names of the outputs to return.</param>
    /// <returns>The outputs. The caller disposes each of them.</returns>
    public IReadOnlyCollection<OrtValue> Run(OrtValue tokens, IReadOnlyList<string> outputs)
    {
        using var options = new RunOptions();
        return session.Run(options, [input], [tokens], outputs);
    }

    public void Dispose() => session.Dispose();
}
