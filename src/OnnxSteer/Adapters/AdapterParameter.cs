using System.Collections.Immutable;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>One parameter of an adapter file.</summary>
/// <param name="Name">The optional graph input that it is for.</param>
/// <param name="DataType">Element type.</param>
/// <param name="Dims">Sizes of the axes.</param>
/// <param name="Data">The numbers as <c>raw_data</c> holds them.</param>
public sealed record AdapterParameter(string Name, DataType DataType, ImmutableArray<long> Dims, ReadOnlyMemory<byte> Data);
