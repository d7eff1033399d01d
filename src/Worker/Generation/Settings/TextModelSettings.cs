using System.Text.Json;
using Sluice.Worker.Generation.Tokenization;
using Sluice.Worker.Models;

namespace Sluice.Worker.Generation.Settings;

/// <summary>
/// What the files beside a text generation model say about it: <c>genai_config.json</c>, <c>config.json</c> and
/// <c>generation_config.json</c>, or the metadata <c>sluice.context</c> of the model itself.
/// </summary>
/// <param name="Context">Maximum number of tokens of prompt and generated text together.</param>
/// <param name="Vocabulary">Number of values of the logits. 0 if no file states it.</param>
/// <param name="Names">Names of the model's inputs and outputs.</param>
/// <param name="Defaults">Recommended sampling parameters.</param>
/// <param name="BlockSize">Tokens of a block of a paged cache. 0 if no file states it.</param>
internal sealed record TextModelSettings(
    int Context,
    int Vocabulary,
    DecoderNames Names,
    SamplingDefaults Defaults,
    int BlockSize)
{
    private const int DefaultContext = 512;

    /// <summary>Names of the context length in <c>config.json</c> of different kinds of models.</summary>
    private static readonly string[] ContextFields =
        ["max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length", "seq_length"];

    /// <summary>Reads the settings of a model.</summary>
    /// <exception cref="InvalidDataException">A file is not valid. The message names file, field and value.</exception>
    public static TextModelSettings Read(OnnxModel model)
    {
        var folder = ModelFolder.ConfigurationFolder(model.Path);
        using var genAi = ModelFolder.ReadConfig(folder, ModelFolder.GenAiConfig);
        using var config = ModelFolder.ReadConfig(folder, ModelFolder.Config);
        using var generation = ModelFolder.ReadConfig(folder, "generation_config.json");
        var genAiModel = new ConfigSection(ModelFolder.GenAiConfig, genAi?.RootElement).Section("model");
        var search = new ConfigSection(ModelFolder.GenAiConfig, genAi?.RootElement).Section("search");
        var configRoot = new ConfigSection(ModelFolder.Config, config?.RootElement);
        // Models for images and text have the settings of the text model in a section.
        var text = configRoot.Section("text_config");
        var generationRoot = new ConfigSection("generation_config.json", generation?.RootElement);
        var context = Tokenizers.ReadNumber(model.Metadata, "sluice.context", 0);
        if (context == 0) context = genAiModel.Integer("context_length") ?? 0;
        foreach (var field in ContextFields)
            if (context == 0) context = text.Integer(field) ?? configRoot.Integer(field) ?? 0;
        return new TextModelSettings(
            context > 0 ? context : DefaultContext,
            genAiModel.Integer("vocab_size") ?? text.Integer("vocab_size") ?? configRoot.Integer("vocab_size") ?? 0,
            ReadNames(genAiModel.Section("decoder")),
            ReadDefaults(generationRoot.Exists ? generationRoot : search),
            new ConfigSection(ModelFolder.GenAiConfig, genAi?.RootElement)
                .Section("engine").Section("dynamic_batching").Integer("block_size") ?? 0);
    }

    private static DecoderNames ReadNames(ConfigSection decoder)
    {
        var (inputs, outputs, names) = (decoder.Section("inputs"), decoder.Section("outputs"), new DecoderNames());
        return new DecoderNames(
            inputs.Text("input_ids") ?? names.Ids,
            inputs.Text("attention_mask") ?? names.Mask,
            inputs.Text("position_ids") ?? names.Positions,
            inputs.Text("past_key_names") ?? names.PastKey,
            inputs.Text("past_value_names") ?? names.PastValue,
            inputs.Text("cumulative_sequence_lengths") ?? names.SequenceLengths,
            inputs.Text("past_sequence_lengths") ?? names.PastLengths,
            inputs.Text("block_table") ?? names.BlockTable,
            inputs.Text("attention_metadata") ?? names.AttentionBounds,
            outputs.Text("logits") ?? names.Logits,
            outputs.Text("present_key_names") ?? names.PresentKey,
            outputs.Text("present_value_names") ?? names.PresentValue);
    }

    /// <summary>
    /// Reads the recommendations. A model that says <c>do_sample: false</c>, or that says nothing about sampling,
    /// leaves the temperature open, because the OpenAI API's own default is 1.
    /// </summary>
    private static SamplingDefaults ReadDefaults(ConfigSection section) => new(
        section.Number("temperature"),
        section.Number("top_p"),
        section.Integer("top_k"),
        section.Number("min_p"),
        section.Number("repetition_penalty"));
}
